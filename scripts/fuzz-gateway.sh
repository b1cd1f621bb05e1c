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
# shellcheck source=scripts/sample-gateway.sh
source scripts/sample-gateway.sh
need_tools "$tools" schemathesis==4.32.5
if [[ $gateway == http://* ]]; then
    url=$gateway
else
    start_gateway "$gateway"
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
