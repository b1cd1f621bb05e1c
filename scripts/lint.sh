#!/usr/bin/env bash
# What the compiler does not check: imports between floors, calls that must not be reachable from input, file sizes.
# With --format also the formatting.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
failed=0
complain() {
    echo "lint: $1" >&2
    failed=1
}

forbid_imports() { # target pattern
    local found
    found=$(grep -rnE "^(@testable |package |internal |private )?import ($2)\b" "Sources/$1" 2>/dev/null)
    [[ -z $found ]] || complain "Sources/$1 must not import this:"$'\n'"$found"
}
forbid_imports HTTP2 'Foundation|FoundationEssentials|Glibc|Logging|HTTPWire|JSONText|Traffic|Reactor|Migration|Comparison|RoutesFile|Documents|Proxy|Control|GatewayService'
forbid_imports HTTPWire 'Foundation|FoundationEssentials|Glibc|Logging|HTTP2|JSONText|Traffic|Reactor|Migration|Comparison|RoutesFile|Documents|Proxy|Control|GatewayService'
forbid_imports JSONText 'Foundation|FoundationEssentials|Glibc|Logging|HTTPWire|Traffic|Reactor|Migration|Comparison|RoutesFile|Documents|Proxy|Control|GatewayService'
forbid_imports Traffic 'Foundation|FoundationEssentials|Glibc|Logging|HTTPWire|JSONText|Reactor|Migration|Comparison|RoutesFile|Documents|Proxy|Control|GatewayService'
# it takes four functions of the C library, each by its name
forbid_imports Migration 'Foundation|FoundationEssentials|Glibc|Logging|HTTPWire|JSONText|Traffic|Reactor|Comparison|RoutesFile|Documents|Proxy|Control|GatewayService'
# it undoes codings by zlib, from memory to memory
forbid_imports Comparison 'Foundation|FoundationEssentials|Glibc|Logging|HTTPWire|Reactor|Ledger|RoutesFile|Documents|Proxy|Control|GatewayService'
# it writes bodies by zlib, Brotli and zstd, from memory to memory
forbid_imports Compression 'Foundation|FoundationEssentials|Glibc|Logging|HTTPWire|JSONText|Reactor|Migration|Comparison|RoutesFile|Ledger|Documents|Proxy|Control|GatewayService'
forbid_imports Reactor 'Foundation|FoundationEssentials|HTTPWire|JSONText|Comparison|RoutesFile|Documents|Proxy|Control|GatewayService'
# it asks HTTPWire for one thing: which fields a route may change
forbid_imports RoutesFile 'Comparison|Reactor|Documents|Proxy|Control|GatewayService'
forbid_imports Ledger 'Foundation|FoundationEssentials|Logging|Reactor|HTTPWire|Traffic|Comparison|Migration|RoutesFile|Documents|Proxy|Control|GatewayService'
forbid_imports ProcessStart 'Foundation|FoundationEssentials|Logging|HTTPWire|JSONText|Traffic|Reactor|Migration|Comparison|RoutesFile|Ledger|Documents|Proxy|Control|GatewayService'
forbid_imports Documents 'Reactor|HTTPWire|Traffic|Comparison|Migration|RoutesFile|Ledger|Proxy|Control|GatewayService'
forbid_imports Proxy 'Foundation|FoundationEssentials|Logging|Comparison|Control|Ledger|GatewayService|RoutesFile'
forbid_imports Control 'Proxy|GatewayService|Documents'
forbid_imports GatewayService 'Proxy|Control|RoutesFile|Ledger|Traffic|Reactor'

# the fuzzers take these files as they are, without the package's test modules
found=$(grep -oE '\.\./Tests/[A-Za-z0-9/]+\.swift' Fuzz/run.sh | sort -u | sed 's|^\.\./||' | xargs grep -nE '^(@testable )?import (TestSupport|Testing)\b')
[[ -z $found ]] || complain "the fuzzers cannot compile this:"$'\n'"$found"

# one module knows SQLite's interface, and of the balancer's modules it alone writes SQL
found=$(grep -rnE '^import CSQLite|sqlite3_|\b(INSERT INTO|SELECT .* FROM|DELETE FROM|CREATE TABLE)\b' \
    Sources/Control Sources/Balancer Sources/Proxy Sources/Traffic Sources/RoutesFile --include='*.swift')
[[ -z $found ]] || complain "SQL outside Sources/Ledger:"$'\n'"$found"

# an exchange knows neither its client's protocol nor its endpoint's, nor what carries them: comments may name both
found=$(grep -rnE '^[^/]*(HTTP1|HTTP2|Channel|Socket)' Sources/Proxy/Exchange --include='*.swift')
[[ -z $found ]] || complain "Sources/Proxy/Exchange must name no protocol's connection and no socket:"$'\n'"$found"

found=$(grep -rnE 'try!|fatalError\(|as!' Sources --include='*.swift' | grep -v '// RULE:')
[[ -z $found ]] || complain "a trap that input might reach:"$'\n'"$found"
found=$(grep -rnE 'return \(.+,.*\bawait ' Sources --include='*.swift')
[[ -z $found ]] || complain "a tuple begun before an await, whose first element optimised code loses (Swift 6.3.1):"$'\n'"$found"
found=$(grep -rn '@unchecked Sendable' Sources --include='*.swift' | grep -v '^Sources/Reactor/EventLoop.swift' | grep -v '// RULE:')
[[ -z $found ]] || complain "@unchecked Sendable outside the event loop:"$'\n'"$found"

if [[ -e Package.resolved ]] && command -v python3 >/dev/null; then
    scripts/packages.py || complain "packages are others than Package.versions says: \`scripts/packages.py --hold\`, or --write"
fi
found=$(grep -rn 'URLEncodedForm' Sources --include='*.swift')
[[ -z $found ]] || complain "release programs have nothing behind this (Sources/CFoundationStandIn):"$'\n'"$found"
for target in Balancer Control Documents Gateway GatewayService Proxy RoutesFile; do
    found=$(grep -rnE '^(@testable |package |internal |private )?import Foundation$' "Sources/$target")
    [[ -z $found ]] || complain "FoundationEssentials is enough, and a third of the size:"$'\n'"$found"
done

while read -r lines file; do
    [[ $file == total ]] && continue
    ((lines <= 600)) || complain "$file has $lines lines, more than 600"
done < <(find Sources Tests -name '*.swift' -print0 | xargs -0 -r wc -l)

if [[ ${1:-} == --format ]]; then
    swift format lint --strict --parallel --recursive Sources Tests Package.swift || failed=1
fi
exit $failed
