#!/usr/bin/env bash
# Checks for a Swift toolchain, and installs what building and testing need beside it: Debian packages, only those that are missing.
# Where there is no apt, or nobody who may use it, it says what to install and by what command, and changes nothing.
set -euo pipefail

if ! command -v swift >/dev/null; then
    cat >&2 <<'TEXT'
setup: there is no `swift` here; 6.2 or newer is needed.
  with swiftly:      https://www.swift.org/install/linux
  with a container:  docker run --rm -it -v "$PWD:/source" -w /source swift:6.3.1-bookworm bash
TEXT
    exit 1
fi
version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -1)
if [[ $(printf '%s\n' 6.2 "${version:-0}" | sort --version-sort | head -1) != 6.2 ]]; then
    echo "setup: $(command -v swift) is Swift ${version:-of an unknown version}; 6.2 or newer is needed: https://www.swift.org/install/linux" >&2
    exit 1
fi

packages=(pkg-config libcrypt-dev libssl-dev openssl libsqlite3-dev libmongoc-dev libbson-dev libbrotli-dev libnghttp2-dev nghttp2-client libzstd-dev zlib1g-dev curl python3 python3-venv dnsmasq-base)
missing=()
if command -v dpkg-query >/dev/null; then
    for package in "${packages[@]}"; do
        if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$'; then
            missing+=("$package")
        fi
    done
else
    # Not Debian: what counts is whether it is there, whatever its package is called.
    for program in pkg-config openssl curl nghttp h2load python3 dnsmasq; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    for library in openssl libxcrypt sqlite3 libmongoc-1.0 libbson-1.0 libbrotlienc libnghttp2 libzstd zlib; do
        pkg-config --exists "$library" 2>/dev/null || missing+=("$library (headers and library)")
    done
    python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=("Python's venv")
fi
if ((${#missing[@]} == 0)); then exit 0; fi

if ! command -v apt-get >/dev/null; then
    printf 'setup: please install, by whatever this system has for that:\n' >&2
    printf '  %s\n' "${missing[@]}" >&2
    exit 1
fi
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: packages are missing, and only root may install them (there is no sudo). As root:" >&2
        echo "  apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
