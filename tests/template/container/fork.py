"""A fork of the project that is released: its own repository, a name to push to, and the commands that people type."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from models import manifest
from tests import commands
from tests.services.replicate import Replicate
from tests.services.replicate_client import client_of, http_of

from . import host

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
QUICK_PREDICT = '''"""A model without weights, quick to start and to try; only what it says is no language model's."""

from cog import BaseRunner, ConcatenateIterator, Input, Secret, streaming


class TextGeneration(BaseRunner):
    """Answers with the capital of France."""

    def setup(self) -> None:
        self.words = ["It is ", "Paris", "."]

    @streaming
    def run(
        self,
        prompt: str = Input(description="What to say to the model.", default="And?"),
        count: int = Input(description="How many words to say.", default=3, ge=1, le=3),
        *,
        loud: bool = Input(description="Accepted, and changes nothing.", default=False),
        key: Secret = Input(description="Accepted, and never looked at.", default=None),
    ) -> ConcatenateIterator[str]:
        yield from self.words[: int(count)]
'''
QUICK_KEYS = """weights: {}
engines:
  - {engine: plain, device: cpu, cache_gb: 1}
hardware: {replicate: cpu, memory_gb: 1}
examples:
  - {name: capital, input: {prompt: The capital of France is}, expect: {contains: [Paris]}}
  - {name: short, input: {count: 1}, expect: {contains: [It is], excludes: [Paris]}}
  - {name: two words, input: {count: 2}, expect: {contains: [Paris], excludes: [.]}}
"""


class Fork:
    """A clone of the project, the name that it pushes to, and the Replicate that it uses."""

    def __init__(self, folder: Path, to: str, service: Replicate | None = None) -> None:
        self.folder, self.to, self.service = folder, to, service
        self.slug = manifest.selected().slug
        self.variables = {"MODEL": self.slug, "DOCKER_CONFIG": str(folder.parent / f"{folder.name}.docker")}
        Path(self.variables["DOCKER_CONFIG"]).mkdir()
        # No login; the entry keeps Docker from searching the system's keychain.
        (Path(self.variables["DOCKER_CONFIG"]) / "config.json").write_text('{"auths": {"registry.invalid": {}}}')
        if service:
            self.variables |= {"REPLICATE_API_TOKEN": service.token, "REPLICATE_BASE_URL": service.address}
        self.deployments: list[str] = []
        self.output = ""

    @property
    def model(self) -> str:
        """OWNER/NAME."""
        return self.to.partition("/")[2]

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", f"scripts.{script}", *arguments]
        done = commands.run(*command, cwd=self.folder, seconds=900, **{**self.variables, **variables})
        self.output += done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def push(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("push", self.to, "--device", "cpu", *arguments, **variables)

    def succeed(self, *arguments: str, **variables: str) -> str:
        """Push, which must succeed; returns the digest that it prints, "" if it pushes nothing."""
        done = self.push(*arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().rpartition("@")[2]

    @contextmanager
    def pushing(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """A running push whose standard error can be read; at the end it is killed with all that it started."""
        command = [sys.executable, "-m", "scripts.push", self.to, "--device", "cpu", *arguments]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=os.environ | self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def killed_at(self, line: str) -> None:
        """Push, and kill -9 all its processes once a line of its standard error begins with `line`."""
        with self.pushing() as process:
            assert process.stderr is not None
            seen: list[str] = []
            for read in process.stderr:
                seen.append(read)
                if read.startswith(line):
                    return
        raise AssertionError(f"it never printed {line!r}: {''.join(seen)}")

    def write(self, path: str, text: str) -> None:
        """Write a file, render, and commit."""
        (self.folder / path).write_text(text, encoding="utf-8")
        assert self.run("render").returncode == 0
        self.commit(path, text)

    def commit(self, path: str, text: str) -> None:
        """Write a file on which no rendered file depends, and commit."""
        (self.folder / path).write_text(text, encoding="utf-8")
        self.git("commit", "--quiet", "--all", "--message", f"change {path}")

    def change(self, path: str, old: str, new: str) -> None:
        """Replace a text that occurs once in a file, render and commit."""
        text = (self.folder / path).read_text(encoding="utf-8")
        assert text.count(old) == 1
        self.write(path, text.replace(old, new))

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        return commands.succeed("git", *who, *arguments, cwd=self.folder)

    def entries(self) -> list[dict[str, Any]]:
        """The ledger's lines."""
        return [json.loads(line) for line in (self.folder / "releases" / f"{self.slug}.jsonl").read_text().splitlines()]

    def last(self, step: str) -> dict[str, Any]:
        return [entry for entry in self.entries() if entry["step"] == step][-1]

    def held(self, name: str = "", tag: str = "latest") -> str:
        """The digest in the registry for a model (by default production), "" if there is none."""
        address = self.to.partition("/")[0].replace("r8.im", "127.0.0.1:5055")
        found = httpx.head(
            f"http://{address}/v2/{name or self.model}/manifests/{tag}", headers={"Accept": MANIFEST}, timeout=60
        )
        return str(found.headers.get("Docker-Content-Digest", ""))

    def deployed(self) -> list[str]:
        """The digest that each of the manifest's deployments runs, once there are any."""
        assert self.service is not None
        deployments = client_of(self.service).deployments
        return [f"sha256:{deployments.get(name).current_release.version}" for name in self.deployments]

    def deploy(self) -> None:
        """Create two deployments of the live version on Replicate, and name them in the manifest."""
        assert self.service is not None
        self.deployments = [f"acme/{name}-{uuid.uuid4().hex[:6]}" for name in ("one", "two")]
        for name in self.deployments:
            made = {"name": name.split("/")[1], "model": self.model, "version": self.newest(), "hardware": "cpu"}
            http = http_of(self.service)
            http.post("/deployments", json={**made, "min_instances": 0, "max_instances": 1}).raise_for_status()
        deployments = f"deployments: [{', '.join(self.deployments)}]"
        self.change(f"models/catalog/{self.slug}/model.yaml", "examples:\n", f"{deployments}\nexamples:\n")

    def newest(self) -> str:
        """The version that Replicate uses for callers who name none."""
        assert self.service is not None
        version = client_of(self.service).models.get(self.model).latest_version
        assert version is not None
        return version.id


def new_name() -> str:
    return f"acme/fork-{uuid.uuid4().hex[:8]}"


def make(folder: Path, to: str, service: Replicate | None = None) -> Fork:
    """A committed copy of the project in a new folder, with a model that is built, pushed and tried in seconds."""
    shutil.copytree(Path(_committed().name) / "fork", folder, symlinks=True)
    return Fork(folder, to, service)


def quicken(folder: Path) -> None:
    """Give a copy of the project a model that is built, pushed and tried in seconds, under the selected one's name."""
    slug = manifest.selected().slug
    (folder / "predict.py").write_text(QUICK_PREDICT, encoding="utf-8")
    described = folder / "models" / "catalog" / slug / "model.yaml"
    text = described.read_text(encoding="utf-8")
    kept = re.sub(r"^(weights|engines|hardware|examples):\n((  .*)?\n)*", "", text, flags=re.MULTILINE)
    described.write_text(kept + QUICK_KEYS, encoding="utf-8")
    commands.succeed(sys.executable, "-m", "scripts.render", cwd=folder, MODEL=slug)


@cache
def _committed() -> "tempfile.TemporaryDirectory[str]":
    """The folder with the copy that every fork of a process begins with, as `fork`."""
    place = tempfile.TemporaryDirectory()
    folder = Path(place.name) / "fork"
    folder.mkdir()
    quicken(host.copy_project(folder))
    fork = Fork(folder, "")
    fork.git("init", "--quiet")
    (folder / ".git" / "info" / "exclude").write_text("weights\n")  # here a link, which .gitignore does not mean
    fork.git("config", "user.email", "ada@example.com")
    fork.git("add", "--all")
    fork.git("commit", "--quiet", "--message", "fork")
    return place


@contextmanager
def on_replicate(folder: Path) -> Iterator[Fork]:
    """A fork and the local Replicate that it pushes to."""
    with Replicate() as service:
        fork = make(folder, f"r8.im/{new_name()}", service)
        yield fork
        assert service.token not in fork.output
