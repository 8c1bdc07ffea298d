# sh scripts/make_venv.sh
#
# Makes .venv with the first Python from 3.10 to 3.13 that this machine has; the variable PYTHON names another.
set -eu

fits='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'

make_venv() {
    "$1" -c "$fits" 2>/dev/null || return 0
    echo "making .venv with $("$1" --version)"
    rm -rf .venv
    "$1" -m venv .venv >.venv.log 2>&1 && .venv/bin/python -m pip --version >>.venv.log 2>&1 || {
        tail -n 3 .venv.log
        echo "$1 cannot make a virtual environment: install its venv module (Debian: apt install python3-venv)," \
            "or name another: make setup PYTHON=/path/to/python3"
        rm -rf .venv .venv.log
        exit 1
    }
    rm -f .venv.log
    touch .venv/.python
    exit 0
}

if [ -n "${PYTHON:-}" ]; then
    make_venv "$PYTHON"
else
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        make_venv "$candidate"
    done
    if managed=$(uv python find --system '>=3.10,<3.14' 2>/dev/null); then # uv's own Pythons are not on PATH
        make_venv "$managed"
    fi
fi
echo "no Python from 3.10 to 3.13 here${PYTHON:+ ($PYTHON)}: install one, then: make setup PYTHON=/path/to/python3"
exit 1
