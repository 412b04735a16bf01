#!/usr/bin/env bash
# Creates the environment in the folder $1 (an old one is kept and brought up to date) and installs outlast in it,
# editable, with exactly the versions of constraints.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=$1
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "setup: $python is $("$python" --version 2>&1); outlast needs Python 3.10 or newer: make PYTHON=python3.11 setup" >&2
    exit 1
fi
PYTHON=$python scripts/system-packages.sh

if [[ ! -x $venv/bin/pip ]]; then
    echo "setup: creating $venv" >&2
    "$python" -m venv "$venv"
fi
echo "setup: installing outlast and its tools" >&2
pip=("$venv/bin/python" -m pip --disable-pip-version-check --quiet --quiet install --constraint constraints.txt)
# The build backend too comes from constraints.txt, so that an install can be repeated.
"${pip[@]}" hatchling editables
"${pip[@]}" --no-build-isolation --editable '.[dev]'

# DeepSpeed in a folder of its own, of which only the tests that save with it know: the libraries of Hugging Face import
# it into every training as soon as they find it. It comes as source; its kernels are not compiled.
DS_BUILD_OPS=0 PIP_CONSTRAINT=constraints.txt "${pip[@]}" --upgrade --no-deps --target "$venv/deepspeed" \
    deepspeed einops hjson ninja py-cpuinfo
