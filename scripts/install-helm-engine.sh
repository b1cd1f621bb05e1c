#!/usr/bin/env bash
# Helm's own engine for Python, and what the charts' tests use beside it, in .tools/charts. Prints the Python to use.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=.tools/charts
wanted='helm-python-sdk==0.2.2 kubernetes-validate==1.37.0 PyYAML==6.0.2'
mkdir -p .tools
# Two that come at once must not both install.
exec 9>.tools/charts.lock
flock 9
if [[ $(cat "$tools/installed" 2>/dev/null || true) != "$wanted" ]]; then
    python3 -m venv "$tools"
    # shellcheck disable=SC2086
    "$tools/bin/pip" install --quiet --disable-pip-version-check $wanted
    printf '%s' "$wanted" >"$tools/installed"
fi
printf '%s\n' "$PWD/$tools/bin/python3"
