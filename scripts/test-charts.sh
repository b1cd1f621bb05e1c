#!/usr/bin/env bash
# The charts: rendered by Helm's own engine, validated against the schemas of Kubernetes, their routes.json checked by the
# balancer, their pods' programs started with the rendered files, their alerts tried by promtool. Installs what it needs into
# .tools/charts.
#   scripts/test-charts.sh [TEST…]   tests; TEST as unittest names it, such as test_stages
#   scripts/test-charts.sh --write   makes values.schema.json and the READMEs' tables anew from values.yaml and routes.schema.json
set -euo pipefail
cd "$(dirname "$0")/.."
tools=.tools/charts
python=$(scripts/install-helm-engine.sh)
export PYTHONDONTWRITEBYTECODE=1
if [[ ${1:-} == --write ]]; then exec "$python" Tests/Charts/reference.py --write; fi

# promtool alone out of Debian's package: installing that would start a server.
PROMTOOL=$(command -v promtool || true)
if [[ -z $PROMTOOL ]]; then
    PROMTOOL=$PWD/$tools/promtool
    if [[ ! -x $PROMTOOL ]]; then
        folder=$(mktemp -d)
        trap 'rm -rf "$folder"' EXIT
        fetch() { (cd "$folder" && apt-get -qq download prometheus 2>"$folder/words"); }
        refresh() { if [[ $(id -u) -ne 0 ]]; then sudo --non-interactive apt-get update -qq; else apt-get update -qq; fi; }
        # The lists of packages may be missing or old; who may not renew them has what is there.
        if command -v apt-get >/dev/null && { fetch || { refresh && fetch; }; }; then
            dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$folder/promtool"
            install -m 0755 "$folder/promtool" "$PROMTOOL"
        else
            echo "test-charts: no promtool here and none to be had from apt: alerts and dashboard are not tried by it" >&2
            PROMTOOL=
        fi
        rm -rf "$folder"
        trap - EXIT
    fi
fi
programs=.build/debug
export PROMTOOL BALANCER=${BALANCER:-$PWD/$programs/balancer} GATEWAY=${GATEWAY:-$PWD/$programs/gateway}
for program in "$BALANCER" "$GATEWAY"; do
    if [[ ! -x $program ]]; then
        echo "test-charts: $program is missing; build it first (swift build --build-tests), or name others by BALANCER and GATEWAY" >&2
        exit 1
    fi
done
exec "$python" Tests/Charts/run.py "$@"
