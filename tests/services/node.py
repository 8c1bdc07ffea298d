"""Replicate's official JavaScript client, installed into a test's own folder."""

import shutil
from pathlib import Path

from tests.commands import run, skip_or_fail

_SCRIPTS = Path(__file__).parent / "javascript"


def clients_in(folder: Path) -> Path:
    """Copy the scripts of javascript/ and install the client; without node the test is skipped."""
    if not (shutil.which("node") and shutil.which("npm")):
        skip_or_fail("the commands node and npm", "https://nodejs.org has them")
    shutil.copytree(_SCRIPTS, folder, dirs_exist_ok=True)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    installed = run("npm", "install", *options, cwd=folder)
    if installed.returncode:
        skip_or_fail("what npm installs", installed.stderr.strip()[-300:])
    return folder
