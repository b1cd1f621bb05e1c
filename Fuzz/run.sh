#!/usr/bin/env bash
# Fuzzes each parser for SECONDS (default 30), starting from the saved cases. What it finds is written beside them, and is
# then replayed by every test run.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-30}
swift build --scratch-path ../.build-fuzz
for target in FuzzHead FuzzChunked; do
    case $target in
    FuzzHead) cases=head ;;
    *) cases=chunked ;;
    esac
    saved=../Tests/HTTPWireTests/FuzzCases/$cases
    corpus=../.build-fuzz/corpus-$cases
    mkdir -p "$corpus" "$saved"
    "../.build-fuzz/debug/$target" -max_total_time="$seconds" -max_len=4096 -print_final_stats=1 \
        -artifact_prefix="$saved/" "$corpus" "$saved"
done
