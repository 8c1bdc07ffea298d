# sh scripts/make_venv.sh
#
# Makes .venv with the first Python from 3.10 to 3.13 that this machine has; the variable PYTHON names another.
set -eu

fits='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'

for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
    if "$candidate" -c "$fits" 2>/dev/null; then
        echo "making .venv with $("$candidate" --version)"
        "$candidate" -m venv .venv 2>.venv.log || {
            tail -n 3 .venv.log
            echo "$candidate cannot make a virtual environment: install its venv module (Debian: apt install python3-venv)"
            rm -rf .venv .venv.log
            exit 1
        }
        rm -f .venv.log
        touch .venv/.python
        exit 0
    fi
done
echo "no Python from 3.10 to 3.13 here${PYTHON:+ ($PYTHON)}: install one, then: make PYTHON=/path/to/python3 ..."
exit 1
