#!/usr/bin/env bash
# Builds once, then runs every test. `swift test` closes with its own counts.
set -euo pipefail
cd "$(dirname "$0")/.."
swift build --build-tests
# What is not Swift first: `swift test` closes with its own counts. Whoever names tests wants those alone.
if (($# == 0)); then
    scripts/test-charts.sh
    scripts/test-images.sh
fi
# The document stores are tested against a MongoDB wire server in a Python environment of its own.
exec Tests/DocumentsTests/WireServer/with-wire-server swift test --skip-build --no-parallel "$@"
