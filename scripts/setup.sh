#!/bin/sh
# Makes the virtual environment if it is missing and installs Stepwell into it, editable.
#
# Usage: setup.sh VENV EXTRAS [PYTHON], for example: setup.sh .venv server,example
# pip alone is enough. Where uv is installed it does the same work faster; should it fail (an index
# that only pip is configured for), pip takes over.
set -eu

venv=$1
extras=$2
here=$(dirname "$0")

has_uv() { command -v uv >/dev/null 2>&1; }
has_pip() { "$venv/bin/python" -m pip --version >/dev/null 2>&1; }

make_venv() {
    python=$("$here/find_python.sh" "${3:-}")
    echo "Making $venv with $("$python" --version)."
    "$python" -m venv "$venv" >/dev/null 2>&1 && return
    rm -rf "$venv"
    # Debian's python3 comes without the part that puts pip into a new environment.
    has_uv && uv venv --quiet --seed --python "$python" "$venv" && return
    echo "stepwell: $python cannot make virtual environments." >&2
    echo "On Debian and Ubuntu: apt-get install python3-venv" >&2
    exit 1
}

install() {
    if has_uv; then
        uv pip install --quiet --python "$venv/bin/python" --editable ".[$extras]" && return
        has_pip || exit 1
        echo "uv could not; trying pip." >&2
    fi
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --editable ".[$extras]"
}

cd "$here/.."
here=scripts
[ -x "$venv/bin/python" ] || make_venv "$@"
echo "Installing stepwell[$extras] into $venv …"
install
