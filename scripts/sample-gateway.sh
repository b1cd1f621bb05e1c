# shellcheck shell=bash
# For scripts that ask a gateway on sample data: source it. Leaves a folder in `folder`, which goes with the script, as the
# gateway does.

# Python packages in a directory of their own: need_tools DIRECTORY PACKAGE==VERSION...
need_tools() {
    local tools=$1 wanted=${*:2}
    [[ $(cat "$tools/installed" 2>/dev/null || true) == "$wanted" ]] && return
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
    printf '%s' "$wanted" >"$tools/installed"
}

folder=$(mktemp -d)
process=
stop() {
    if [[ -n $process ]]; then
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap stop EXIT

# Starts a gateway, whose port is `port` then; ends the script if it does not come up: start_gateway PROGRAM
start_gateway() {
    "$1" serve --port 0 >"$folder/out" 2>"$folder/err" &
    process=$!
    for _ in $(seq 300); do
        port=$(sed -n 's/.*127\.0\.0\.1:\([0-9]*\).*/\1/p' "$folder/out")
        [[ -n $port ]] && return
        kill -0 "$process" 2>/dev/null || break
        sleep 0.1
    done
    echo "${0##*/}: the gateway did not start" >&2
    cat "$folder/err" >&2
    exit 1
}
