#!/usr/bin/env bash
# The program etcd, in which the tests have replicas agree, into .tools/etcd: out of Debian's package, for installing that would
# start a server. Where there is none to be had, it says so and those tests are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
program=.tools/etcd/etcd
if [[ -x $program ]] || command -v etcd >/dev/null; then exit 0; fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fetch() { (cd "$folder" && apt-get -qq download etcd-server 2>/dev/null); }
refresh() { if [[ $(id -u) -ne 0 ]]; then sudo --non-interactive apt-get update -qq; else apt-get update -qq; fi; }
# The lists of packages may be missing or old; who may not renew them has what is there.
if command -v apt-get >/dev/null && { fetch || { refresh && fetch; }; }; then
    mkdir -p "${program%/*}"
    dpkg-deb --fsys-tarfile "$folder"/etcd-server_*.deb | tar -xO ./usr/bin/etcd >"$folder/etcd"
    install -m 0755 "$folder/etcd" "$program"
else
    echo "install-etcd: no etcd here and none to be had from apt: replicas are not tried over it" >&2
fi
