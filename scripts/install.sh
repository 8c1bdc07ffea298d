# sh scripts/install.sh NAME...
#
# Installs the packages of requirements/NAME.in into .venv, in the versions of lock.txt. pip's own settings choose the
# index, but must not choose another target. Without an NVIDIA GPU torch comes without CUDA, from PyTorch's own page.
set -eu

pip='.venv/bin/python -m pip --disable-pip-version-check'

elsewhere=$($pip config list | grep -E '\.(target|prefix|root|python|no-deps|dry-run)=' || true)
if [ -n "$elsewhere" ]; then
    echo "pip's configuration keeps packages out of .venv ($elsewhere): pip config unset ${elsewhere%%=*}"
    exit 1
fi
case " $* " in
*" torch "* | *" transformers "*) page=$(.venv/bin/python scripts/dependencies/cpu_torch.py) ;;
*) page= ;;
esac
for name do
    set -- "$@" -r "requirements/$name.in"
    shift
done
$pip install -c requirements/lock.txt --no-user --quiet --progress-bar off ${page:+--find-links "$page"} "$@" || {
    echo "nothing was installed: see pip's message above; pip needs space in .venv and in TMPDIR (${TMPDIR:-/tmp})"
    exit 1
}
