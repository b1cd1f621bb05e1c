#!/usr/bin/env bash
# The scenario suite against a balancer built with ThreadSanitizer, in a build folder of its own. A report makes the balancer
# exit with 66, which fails the scenario that started it.
set -euo pipefail
cd "$(dirname "$0")/.."
swift build --sanitize thread --scratch-path .build-tsan --product balancer
swift build --build-tests
export BALANCER_BINARY=$PWD/.build-tsan/debug/balancer
export TSAN_OPTIONS="halt_on_error=1 exitcode=66 suppressions=$PWD/scripts/tsan.supp ${TSAN_OPTIONS:-}"
# What an idle connection takes cannot be told from what the sanitizer takes for it.
Tests/DocumentsTests/WireServer/with-wire-server swift test --skip-build --no-parallel --filter Scenarios \
    --skip idleConnections "$@"
