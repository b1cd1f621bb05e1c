#!/usr/bin/env bash
# Fuzzes each parser, or the one that is named, for SECONDS (default 30) with libFuzzer and AddressSanitizer, starting from
# the saved cases. What it finds is written beside them, and is then replayed by every test run. Built with the compiler
# directly: libFuzzer brings its own main, which the package manager would rename.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-30}
build=$PWD/../.build-fuzz
mkdir -p "$build"
# shellcheck disable=SC2054
flags=(-sanitize=fuzzer,address -parse-as-library -O -swift-version 6 -package-name balancer -enable-testing)
module() { # NAME, into $build
    local sources
    mapfile -t sources < <(find "../Sources/$1" -name '*.swift' | sort)
    swiftc "${flags[@]}" -wmo -module-name "$1" -emit-library -static -emit-module -I "$build" -I ../Sources/CZlib -I ../Sources/CNGHTTP2 \
        -emit-module-path "$build/$1.swiftmodule" -o "$build/lib$1.a" "${sources[@]}"
}
# What is written in C: an object for each, and maps of their headers, which the package manager would make.
native() { # NAME…, into $build/c
    mkdir -p "$build/c"
    for name; do
        clang -c -O1 -g -fsanitize=address -I "../Sources/$name/include" "../Sources/$name/"*.c -o "$build/c/$name.o"
        echo "module $name { header \"$PWD/../Sources/$name/include/$name.h\" export * }"
    done >"$build/c/module.modulemap"
}
flags+=(-I "$build/c")
for target in ${2:-Head Chunked Proxy Comparison Frames Answers Fields TLS}; do
    tests=HTTPWireTests modules=(HTTPWire) others=()
    case $target in
    Chunked) others=(../Tests/HTTPWireTests/ReferenceChunks.swift) ;;
    Proxy) others=(../Tests/HTTPWireTests/ProxyHeaderInvariants.swift) ;;
    Comparison)
        tests=ComparisonTests modules=(JSONText Traffic Migration Comparison)
        others=(../Tests/ComparisonTests/ComparisonInvariants.swift)
        ;;
    Frames | Answers) tests=HTTP2Tests modules=(HTTPWire HTTP2) others=(-lnghttp2) ;;
    Fields) tests=HTTP2Tests modules=(HTTP2) others=(../Tests/HTTP2Tests/FieldInvariants.swift -lnghttp2) ;;
    TLS)
        tests=ReactorTests modules=(Traffic Reactor)
        native CEpoll CCrypt COpenSSL
        others=(../Tests/ReactorTests/RecordInvariants.swift "$build"/c/{CEpoll,CCrypt,COpenSSL}.o -lssl -lcrypto -lcrypt)
        export FUZZ_CERTIFICATE=$build
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$build/fuzz.key" -out "$build/fuzz.crt" -days 30 \
            -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
        ;;
    esac
    libraries=()
    for name in "${modules[@]}"; do
        [[ $build/lib$name.a -nt $0 && -z $(find "../Sources/$name" -newer "$build/lib$name.a" -name '*.swift') ]] || module "$name"
        libraries=("$build/lib$name.a" "${libraries[@]}")
    done
    swiftc "${flags[@]}" -module-name "Fuzz$target" -I "$build" -I ../Sources/CZlib -I ../Sources/CNGHTTP2 "Fuzz$target.swift" "${others[@]}" \
        "${libraries[@]}" -o "$build/Fuzz$target" 2> >(grep -v 'Cannot export local symbol' >&2)
    saved=../Tests/$tests/FuzzCases/${target,,}
    corpus=$build/corpus-${target,,}
    mkdir -p "$corpus"
    "$build/Fuzz$target" -max_total_time="$seconds" -max_len=4096 -print_final_stats=1 -artifact_prefix="$saved/" \
        "$corpus" "$saved"
done
