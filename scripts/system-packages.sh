#!/usr/bin/env bash
# Installs the system tools that the tests use, on Debian and its children, where we are root.
# Anywhere else it says what is missing and carries on: only tests that need the tool will say so again.
set -euo pipefail

# command:package
tools=(strace:strace tmux:tmux faketime:faketime mkfs.ext4:e2fsprogs ps:procps unshare:util-linux)

missing=()
for entry in "${tools[@]}"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
# Debian keeps the module that makes environments in a package of its own.
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)

if ((${#missing[@]} == 0)); then
    exit 0
fi
if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    echo "setup: not installed: ${missing[*]}. Some tests need them; as root on Debian, run: apt-get install ${missing[*]}" >&2
    exit 0
fi

install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
}

echo "setup: installing ${missing[*]}" >&2
# The package lists of a fresh image are empty or old: look for new ones only then.
if ! install 2>/dev/null; then
    if ! { apt-get update -qq >/dev/null && install; }; then
        echo "setup: could not install ${missing[*]}; some tests need them. Carrying on." >&2
    fi
fi
