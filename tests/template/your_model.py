"""docs/your-model.md as somebody follows it: copies of the project with the models that its commands name."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.conversion import environment
from tests import tiny_encoders, tiny_models
from tests.checkout import PROJECT
from tests.services.hub import Hub
from tests.template import toy

_PAGE = (PROJECT / "docs" / "your-model.md").read_text(encoding="utf-8")
_BLOCKS = [text.splitlines() for text in re.findall(r"^```sh\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)]
MODELS = {re.findall(r"NAME=(\S+)", block[0])[0]: block for block in _BLOCKS if block[0].startswith("make new")}
"""By the model's name the commands that make it, try it, and put it into a container."""
(TESTING,) = (block for block in _BLOCKS if not block[0].startswith("make new"))
_ID = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
_CONTEXT = 32768
"""Tokens: a generation of a tiny model must hold its slot for some seconds."""
_CARD = b"---\nlicense: apache-2.0\n---\n"


class Fork:
    """A copy of the project with a repository of its own, and somebody who types in it."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder, self._variables = folder, variables

    def types(self, line: str) -> str:
        """What a command of the page prints; it must succeed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MODEL", "ENGINE"))}
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=kept | self._variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def changed(self) -> set[str]:
        """The files that differ from the copy, new ones too."""
        self.types("git add --all")
        return set(self.types("git diff --cached --name-only").splitlines())


@contextmanager
def forked(name: str, place: Path) -> Iterator[Fork]:
    """A copy in which the page's `make new` has made the model `name`, its repository being on a local Hub."""
    folder, home = place / "project", place / "home"
    folder.mkdir()
    (home / "models").mkdir(parents=True)
    toy.copy_project(folder)
    environment.make_environment()
    (folder / ".venv-optimum").symlink_to(environment.FOLDER)
    with Hub() as hub:
        _offer(MODELS[name][0], hub, home, place)
        variables = {"HOME": str(home), "HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home / "huggingface")}
        fork = Fork(folder, variables)
        (folder / ".gitignore").open("a").write("/.venv-optimum\n")  # here a link
        fork.types(f"git init --quiet && git add --all && git {shlex.join(_ID)} commit --quiet --message fork")
        fork.types(MODELS[name][0])
        yield fork


def _offer(command: str, hub: Hub, home: Path, place: Path) -> None:
    """Put the model that a `make new` names where it looks for it."""
    if "SOURCE=file:" in command:
        tiny_models.gguf(home / "models" / "writer.gguf", "llama", **{"llama.context_length": _CONTEXT})
    elif "SOURCE=" in command:
        repository = re.findall(r"SOURCE=hf://(\S+)", command)[0]
        made = place / "made"
        _MAKERS[repository.rpartition("/")[2]](made)
        files = {str(path.relative_to(made)): path.read_bytes() for path in made.rglob("*") if path.is_file()}
        hub.add(repository, files | {"README.md": _CARD})


def _writer(folder: Path) -> None:
    config = tiny_models.safetensors(folder, "llama") / "config.json"
    said = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps(said | {"max_position_embeddings": _CONTEXT}), encoding="utf-8")


def _embedder(folder: Path) -> None:
    tiny_encoders.bert(folder)
    tiny_encoders.sentence_transformer(folder, "mean_tokens")


_MAKERS = {
    "writer": _writer,
    "classifier": lambda folder: tiny_encoders.bert(folder, id2label={0: "salty", 1: "sweet"}, initializer_range=0.1),
    "embedder": _embedder,
}
