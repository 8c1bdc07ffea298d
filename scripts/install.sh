# sh scripts/install.sh REQUIREMENTS...
#
# Installs requirements files into .venv. pip's own settings say from where, and may not say to where.
set -eu

pip='.venv/bin/python -m pip --disable-pip-version-check'

elsewhere=$($pip config list | grep -E '\.(target|prefix|root|python|no-deps|dry-run)=' || true)
if [ -n "$elsewhere" ]; then
    echo "pip's configuration keeps packages out of .venv ($elsewhere): pip config unset ${elsewhere%%=*}"
    exit 1
fi
for file do
    set -- "$@" -r "$file"
    shift
done
$pip install --no-user --quiet --progress-bar off "$@" || {
    echo "nothing was installed: see pip's message above; pip needs room in .venv and in TMPDIR (${TMPDIR:-/tmp})"
    exit 1
}
