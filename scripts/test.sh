#!/usr/bin/env bash
# Builds once, then runs every test. `swift test` closes with its own counts.
set -euo pipefail
cd "$(dirname "$0")/.."
swift build --build-tests
swift test --skip-build --no-parallel "$@"
