#!/usr/bin/env bash
# The dashboard in a real browser, in front of a real balancer: keyboard alone, both themes, three widths, offline, hostile names, a
# thousand endpoints, accessibility by axe-core; and the public endpoint in the same browser: https, HTTP/2, a WebSocket over it. Installs Chromium from Debian and its driver's client into .tools/dashboard.
#   scripts/test-dashboard.sh [TEST…]   tests as unittest names them; SCREENSHOTS=FOLDER keeps pictures of every width and theme
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools/dashboard
export BALANCER=${BALANCER:-$PWD/.build/debug/balancer}
if [[ ! -x $BALANCER ]]; then
    echo "test-dashboard: $BALANCER is missing; build it first (swift build --build-tests), or name another by BALANCER" >&2
    exit 1
fi
if ! command -v chromium >/dev/null || ! command -v chromedriver >/dev/null; then
    as_root=()
    if [[ $(id -u) -ne 0 ]]; then as_root=(sudo --non-interactive); fi
    install_browser() {
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver \
            fonts-dejavu-core >/dev/null 2>&1
    }
    # The lists of packages may be missing or old.
    if ! command -v apt-get >/dev/null || ! { install_browser || { "${as_root[@]}" apt-get update -qq && install_browser; }; }; then
        echo "test-dashboard: skipped: no Chromium here, and none to be had from apt" >&2
        exit 0
    fi
fi
if [[ ! -x $tools/bin/python ]] || ! "$tools/bin/python" -c 'import selenium, axe_selenium_python' 2>/dev/null; then
    python3 -m venv "$tools"
    if ! "$tools/bin/pip" install --quiet --disable-pip-version-check selenium==4.51.0 axe-selenium-python==2.1.6; then
        echo "test-dashboard: skipped: the browser's client cannot be had" >&2
        exit 0
    fi
fi
export PYTHONDONTWRITEBYTECODE=1
cd Tests/Dashboard
if (($# == 0)); then set -- test_dashboard test_edge; fi
exec "$tools/bin/python" -m unittest -v "$@"
