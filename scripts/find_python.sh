#!/bin/sh
# Prints the command of a Python that Stepwell runs on, or says what is missing and fails.
#
# Usage: find_python.sh [COMMAND]; with COMMAND only that one is considered.
# A name on the PATH proves little (pyenv's shims answer for versions that are not active), so each
# candidate is started and asked.
set -u

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -n "${1:-}" ]; then
    is_new_enough "$1" && { echo "$1"; exit 0; }
    echo "stepwell: PYTHON=$1 is not a Python 3.11 or newer that starts." >&2
    exit 1
fi

for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
    is_new_enough "$candidate" && { echo "$candidate"; exit 0; }
done

echo "stepwell: no Python 3.11 or newer was found on the PATH." >&2
echo "Install one (https://www.python.org/downloads/), or name it: make PYTHON=/path/to/python3.11" >&2
exit 1
