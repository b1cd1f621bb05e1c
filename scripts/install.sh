#!/usr/bin/env bash
# Installs the programs, their manual pages and completions below a folder: what `make build` has built, stripped.
#   scripts/install.sh [PREFIX]     PREFIX is /usr/local unless one is named; BIN names the folder of the programs
# systemd units are in examples/systemd. DESTDIR is put before PREFIX, as packagers do.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${BIN:-.build/release}
prefix=${DESTDIR:-}${1:-/usr/local}
for program in balancer gateway; do
    if [[ ! -x $bin/$program ]]; then
        echo "install: $bin/$program is not there: \`make build\` makes it, or BIN names another folder" >&2
        exit 1
    fi
done
probe=$prefix
while [[ ! -e $probe ]]; do probe=$(dirname "$probe"); done
if [[ ! -w $probe ]]; then
    echo "install: $probe may not be written by this user: run it by sudo, or name another folder, such as ~/.local" >&2
    exit 1
fi
install -d "$prefix/bin" "$prefix/share/man/man1" "$prefix/share/bash-completion/completions" \
    "$prefix/share/zsh/site-functions" "$prefix/share/fish/vendor_completions.d"
for program in balancer gateway; do
    install -m 0755 -s "$bin/$program" "$prefix/bin/"
    "$bin/$program" --experimental-dump-help | scripts/man_page.py >"$prefix/share/man/man1/$program.1"
    "$bin/$program" --generate-completion-script bash >"$prefix/share/bash-completion/completions/$program"
    "$bin/$program" --generate-completion-script zsh >"$prefix/share/zsh/site-functions/_$program"
    "$bin/$program" --generate-completion-script fish >"$prefix/share/fish/vendor_completions.d/$program.fish"
done
# That of the page's files, which are in the gateway.
install -D -m 0644 Sources/CSwaggerUI/Assets/LICENSE "$prefix/share/doc/otv/LICENSE.swagger-ui"
echo "install: balancer and gateway are in $prefix/bin"
