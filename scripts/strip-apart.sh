#!/usr/bin/env bash
# Installs a program without its symbols, and those apart, where debuggers look for them by the program's build id.
#   scripts/strip-apart.sh PROGRAM FOLDER SYMBOLS
set -euo pipefail
program=$1 folder=$2 symbols=$3
id=$(readelf --notes "$program" | sed -n 's/.*Build ID: //p')
if [[ ! $id =~ ^[0-9a-f]{16,}$ ]]; then
    echo "strip-apart: $program has no build id" >&2
    exit 1
fi
apart=$symbols/.build-id/${id:0:2}/${id:2}.debug
install -d "$folder" "$(dirname "$apart")"
objcopy --only-keep-debug --compress-debug-sections "$program" "$apart"
chmod 0644 "$apart"
install -m 0755 "$program" "$folder/"
strip "$folder/$(basename "$program")"
