#!/usr/bin/env bash
# Two minutes of schemathesis against a gateway on sample data: whatever the description allows, and what it does not, is
# sent, and every answer must be one that the description and the contract know.
#   scripts/fuzz-gateway.sh [GATEWAY]      a program, or the http://HOST:PORT of one that runs
# SECONDS_LONG is how long (120), SEED what is sent (1).
set -euo pipefail
cd "$(dirname "$0")/.."
gateway=${1:-.build/release/gateway}
long=${SECONDS_LONG:-120}
tools=.tools/schemathesis
wanted='schemathesis==4.32.5'
if [[ $(cat "$tools/installed" 2>/dev/null || true) != "$wanted" ]]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check "$wanted"
    printf '%s' "$wanted" >"$tools/installed"
fi

folder=$(mktemp -d)
process=
stop() {
    if [[ -n $process ]]; then
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap stop EXIT
if [[ $gateway == http://* ]]; then
    url=$gateway
else
    "$gateway" serve --port 0 >"$folder/out" 2>"$folder/err" &
    process=$!
    for _ in $(seq 300); do
        port=$(sed -n 's/.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$folder/out")
        [[ -n $port ]] && break
        kill -0 "$process" 2>/dev/null || break
        sleep 0.1
    done
    [[ -n $port ]] || { echo "fuzz-gateway: the gateway did not start" >&2; cat "$folder/err" >&2; exit 1; }
    url=http://127.0.0.1:$port
fi

status=0
(
    export PYTHONPATH=$PWD/scripts PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS=fuzz_gateway_checks
    # A directory of its own: schemathesis leaves reports and a database of examples where it runs.
    bin=$PWD/$tools/bin/schemathesis
    cd "$folder"
    # It ends by itself when its time is up, and then tells what it found; one that hangs is a failure.
    # not_a_server_error is left out on purpose: a 500 for a parameter that is no number is the contract.
    timeout --kill-after=10 $((long + 120)) "$bin" run "$url/openapi.json" --workers 2 --max-time "$long" \
        --max-examples 200 --seed "${SEED:-1}" --report json --report-json-path "$folder/report.json" \
        --phases examples,coverage,fuzzing --mode all --request-timeout 10 --suppress-health-check all \
        --checks status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,server_errors_are_those_of_the_contract,every_answer_but_an_error_allows_other_origins
) || status=$?
[[ -s $folder/report.json ]] || { echo "fuzz-gateway: no report, status $status" >&2; exit 1; }
# Still alive, and none the worse for it.
if [[ -n $process ]]; then
    "$gateway" health --port "$port" || { echo "fuzz-gateway: the gateway no longer answers" >&2; exit 1; }
fi
exit "$status"
