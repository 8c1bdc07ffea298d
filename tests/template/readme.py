"""The README's command blocks, run word for word in a fresh clone with an empty home."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.checkout import copied

PROJECT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[str]:
    """All blocks of commands, in the README's order."""
    found = _BLOCK.findall((PROJECT / "README.md").read_text(encoding="utf-8"))
    return ["\n".join(line.removeprefix(indent) for line in text.splitlines()) for indent, text in found]


def needs_docker(block: str) -> bool:
    return any(word in block for word in ("cog predict", "make image", "make push", "make container-predict"))


class Newcomer:
    """A person with an empty home folder who runs the README's commands."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clone, self.account = folder, folder / "cog-template", "acme"
        home = folder / "home"
        home.mkdir()
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "VIRTUAL_ENV"))
        }
        self.environment = kept | {"HOME": str(home), "BROWSER": "true"}  # the program that would open a page

    def types(self, block: str) -> "subprocess.CompletedProcess[str]":
        """Run a block like a shell; this repository takes the place of the published one."""
        place = self.clone if self.clone.exists() else self.folder
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._here(block)],
            cwd=place,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
        )

    @contextmanager
    def keeps_running(self, block: str, ready: str = "curl") -> Iterator[str]:
        """Run a block that does not end by itself, and end it with Ctrl-C; yields the line that contains `ready`."""
        process = subprocess.Popen(
            ["bash", "-c", block],
            cwd=self.clone,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stderr is not None
        line = next((line for line in process.stderr if ready in line), "")
        assert line
        try:
            yield line
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=30)

    def _here(self, block: str) -> str:
        """The block with this working tree instead of the published repository, and a name to push to."""
        block = block.replace(
            "git clone https://github.com/YOUR-NAME/cog-template", f"cp -r {self._source()} cog-template"
        )
        return block.replace("YOUR-NAME", self.account)

    def _source(self) -> Path:
        """A clone of this working tree, uncommitted changes included."""
        return copied(self.folder / "published")
