#!/usr/bin/env bash
# Fuzzes each parser, or the one that is named, for SECONDS (default 30) with libFuzzer and AddressSanitizer, starting from
# the saved cases. What it finds is written beside them, and is then replayed by every test run. Built with the compiler
# directly: libFuzzer brings its own main, which the package manager would rename.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-30}
build=$PWD/../.build-fuzz
mkdir -p "$build"
flags=(-sanitize=fuzzer,address -parse-as-library -O -swift-version 6 -package-name balancer)
mapfile -t sources < <(find ../Sources/HTTPWire -name '*.swift' | sort)
swiftc "${flags[@]}" -wmo -module-name HTTPWire -emit-library -static -emit-module \
    -emit-module-path "$build/HTTPWire.swiftmodule" -o "$build/libHTTPWire.a" "${sources[@]}"
for target in ${2:-Head Chunked}; do
    others=()
    [[ $target == Chunked ]] && others=(../Tests/HTTPWireTests/ReferenceChunks.swift)
    swiftc "${flags[@]}" -module-name "Fuzz$target" -I "$build" "Fuzz$target.swift" "${others[@]}" "$build/libHTTPWire.a" \
        -o "$build/Fuzz$target" 2> >(grep -v 'Cannot export local symbol' >&2)
    saved=../Tests/HTTPWireTests/FuzzCases/${target,,}
    corpus=$build/corpus-${target,,}
    mkdir -p "$corpus"
    "$build/Fuzz$target" -max_total_time="$seconds" -max_len=4096 -print_final_stats=1 -artifact_prefix="$saved/" \
        "$corpus" "$saved"
done
