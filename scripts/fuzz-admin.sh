#!/usr/bin/env bash
# Schemathesis against the admin API of a balancer: whatever the description allows, and what it does not, is sent, and every answer
# must be one that the description knows. Once without a journal and without a plan, once with both and copies under way, and, where
# there is etcd, once as one of two replicas.
#   scripts/fuzz-admin.sh [BALANCER]       the program
# SECONDS_LONG is how long each takes (60), SEED what is sent (1), RIGS which of them (bare full cluster).
set -euo pipefail
cd "$(dirname "$0")/.."
balancer=${1:-.build/release/balancer}
long=${SECONDS_LONG:-60}
tools=.tools/schemathesis
# shellcheck source=scripts/sample-gateway.sh
source scripts/sample-gateway.sh
need_tools "$tools" schemathesis==4.32.5
status=0
for rig in ${RIGS:-bare full cluster}; do
    if [[ $rig == cluster ]] && ! command -v etcd >/dev/null && [[ ! -x .tools/etcd/etcd ]]; then
        echo "fuzz-admin: no etcd (scripts/install-etcd.sh): replicas are not tried" >&2
        continue
    fi
    echo "fuzz-admin: $rig"
    # It starts what is asked, tells where, and ends with this script.
    coproc RIG { exec python3 scripts/fuzz_admin_rig.py "$balancer" "$rig"; }
    process=$RIG_PID
    read -r -t 60 admin <&"${RIG[0]}" || { echo "fuzz-admin: it did not start" >&2; exit 1; }
    code=0
    (
        export PYTHONPATH=$PWD/scripts PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS=fuzz_admin_checks FUZZ_ADMIN=$admin
        # A directory of its own: schemathesis leaves reports and a database of examples where it runs.
        bin=$PWD/$tools/bin/schemathesis
        cd "$folder"
        # A refusal by If-Match is one, whatever else is wrong.
        printf '%s\n' '[checks.negative_data_rejection]' \
            'expected-statuses = ["400", "403", "404", "405", "409", "412", "413", "415", "422", "503"]' >schemathesis.toml
        # Events never end. The description of what is not allowed is JSON Schema's; the API knows more (names, sums), so what is
        # right by the schema may be refused, by 409 or 422.
        timeout --kill-after=10 $((long + 120)) "$bin" run "http://$admin/api/v1/openapi.json" --url "http://$admin" \
            --workers 1 --max-time "$long" --max-examples 200 --seed "${SEED:-1}" --exclude-path /api/v1/events \
            --phases examples,coverage,fuzzing --mode all --request-timeout 10 --suppress-health-check all \
            --checks status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,negative_data_rejection,unsupported_method,server_errors_are_refusals,refusals_name_their_place
    ) || code=$?
    [[ $code -eq 0 ]] || status=$code
    # Still alive, and none the worse for it: it ends as it is told to.
    eval "exec ${RIG[1]}>&-"
    wait "$process" || { echo "fuzz-admin: the balancer was harmed" >&2; status=1; }
    process=
done
exit "$status"
