#!/usr/bin/env bash
# Two minutes of schemathesis against a gateway on sample data: whatever the description allows, and what it does not, is
# sent, and every answer must be one that the description and the contract know.
#   scripts/fuzz-gateway.sh [GATEWAY]
set -euo pipefail
cd "$(dirname "$0")/.."
gateway=${1:-.build/release/gateway}
tools=.tools/schemathesis
wanted='schemathesis==4.32.5'
if [[ $(cat "$tools/installed" 2>/dev/null || true) != "$wanted" ]]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check "$wanted"
    printf '%s' "$wanted" >"$tools/installed"
fi

folder=$(mktemp -d)
"$gateway" serve --port 0 >"$folder/out" 2>"$folder/err" &
process=$!
trap 'kill "$process" 2>/dev/null || true; wait "$process" 2>/dev/null || true; rm -rf "$folder"' EXIT
for _ in $(seq 100); do
    port=$(sed -n 's/.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$folder/out")
    [[ -n $port ]] && break
    sleep 0.1
done
[[ -n $port ]] || { echo "fuzz-gateway: the gateway did not start" >&2; cat "$folder/err" >&2; exit 1; }

status=0
(
    export PYTHONPATH=$PWD/scripts SCHEMATHESIS_HOOKS=fuzz_gateway_checks
    # A directory of its own: schemathesis leaves reports and a database of examples where it runs.
    bin=$PWD/$tools/bin/schemathesis
    cd "$folder"
    # not_a_server_error is left out on purpose: a 500 for a parameter that is no number is the contract.
    timeout 120 "$bin" run "http://127.0.0.1:$port/openapi.json" --workers 2 --max-examples 200 --seed "${SEED:-1}" \
        --phases examples,coverage,fuzzing --mode all --request-timeout 10 --suppress-health-check all \
        --checks status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,server_errors_are_those_of_the_contract,every_answer_but_an_error_allows_other_origins
) || status=$?
# Still alive, and none the worse for it.
"$gateway" health --port "$port" || { echo "fuzz-gateway: the gateway no longer answers" >&2; exit 1; }
# The two minutes were up: that is no failure, what was found before would have been reported.
if ((status == 124)); then
    echo "fuzz-gateway: time is up, the gateway stands"
    exit 0
fi
exit "$status"
