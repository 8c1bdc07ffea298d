# sh scripts/install.sh NAME...
#
# Installs what requirements/NAME.in need into .venv, in the versions of lock.txt. pip's own settings say from where, and
# may not say to where.
set -eu

pip='.venv/bin/python -m pip --disable-pip-version-check'

elsewhere=$($pip config list | grep -E '\.(target|prefix|root|python|no-deps|dry-run)=' || true)
if [ -n "$elsewhere" ]; then
    echo "pip's configuration keeps packages out of .venv ($elsewhere): pip config unset ${elsewhere%%=*}"
    exit 1
fi
for name do
    set -- "$@" -r "requirements/$name.in"
    shift
done
$pip install -c requirements/lock.txt --no-user --quiet --progress-bar off "$@" || {
    echo "nothing was installed: see pip's message above; pip needs room in .venv and in TMPDIR (${TMPDIR:-/tmp})"
    exit 1
}
