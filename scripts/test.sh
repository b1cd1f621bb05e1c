#!/usr/bin/env bash
# Builds once, then runs every test; `swift test` closes with its own counts. What needs root (images) is skipped with a
# reason where there is none. What failed is said once more at the very end.
#   scripts/test.sh [OPTION…]   options of `swift test`, such as --filter NAME: those tests alone
set -euo pipefail
cd "$(dirname "$0")/.."
# Where nothing is resolved yet, the versions that everybody has.
if [[ ! -e Package.resolved ]]; then
    swift package resolve
    scripts/packages.py --hold
fi
scripts/install-etcd.sh
swift build --build-tests
output=$(mktemp -t balancer-tests.XXXXXX)
beside=$(mktemp -t balancer-tests.XXXXXX)
checks=
finish() {
    # The group, so that its browsers and servers end with it.
    if [[ -n $checks ]]; then kill -- "-$checks" 2>/dev/null || true; fi
    rm -f "$output" "$beside"
}
trap finish EXIT

# The document stores are tested against a MongoDB wire server, and gRPC with its own library, in Python environments of their own.
swift_tests() {
    local status=0
    Tests/GRPC/with-grpc Tests/DocumentsTests/WireServer/with-wire-server \
        swift test --skip-build --no-parallel "$@" 2>&1 | tee "$output" || status=$?
    if ((status != 0)); then
        echo
        echo "What failed:"
        # Without colours, where there were any.
        sed 's/\x1b\[[0-9;]*m//g' "$output" | grep -aE '^✘ Test |^↳ |error:|Fatal|crash' \
            | grep -avE '^↳ (Testing Library|Target Platform)|^✘ Test run' | tail -60 || true
        tail -1 "$output"
        exit "$status"
    fi
}
# Whoever names tests wants those alone.
if (($# > 0)); then
    swift_tests "$@"
    exit
fi
# What tries no program's timing runs beside the tests of single parts, and prints when it has ended.
set -m
(scripts/test-charts.sh && scripts/test-gateway-client.sh .build/debug/gateway && scripts/test-dashboard.sh) </dev/null >"$beside" 2>&1 &
checks=$!
set +m
swift_tests --skip '^Scenarios\.'
status=0
wait "$checks" || status=$?
checks=
cat "$beside"
if ((status != 0)); then exit "$status"; fi
swift_tests --filter '^Scenarios\.'
scripts/test-images.sh
# The scenarios once more, with what ships: the optimizer has faults of its own. Without the runbook's walks, the stores of replicas,
# plans and the ledger's two hundred kills, which are minutes of roll-outs, elections and starts, and try other programs' waits more than
# compiled code.
swift build -c release --static-swift-stdlib --product balancer
swift build -c release --static-swift-stdlib --product gateway
export BALANCER_BINARY=$PWD/.build/release/balancer GATEWAY_BINARY=$PWD/.build/release/gateway
swift_tests --filter '^Scenarios\.' --skip 'Runbook|Cluster|Ledger|Migration'
