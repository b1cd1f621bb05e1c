#!/usr/bin/env bash
# The scenario suite against programs built with ThreadSanitizer, in a build folder of its own. A report in any process
# makes that process exit with 66, which fails the scenario that started it.
set -euo pipefail
cd "$(dirname "$0")/.."
export TSAN_OPTIONS="halt_on_error=1 exitcode=66 ${TSAN_OPTIONS:-}"
swift build --sanitize thread --scratch-path .build-tsan --build-tests
BALANCER_BINARY=$PWD/.build-tsan/debug/balancer \
    swift test --sanitize thread --scratch-path .build-tsan --skip-build --no-parallel --filter Scenarios "$@"
