"""The project with one model in its catalog, in a folder of links; tests run its commands like people."""

import importlib
import io
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

from models import manifest
from models.weights import headers
from models.weights.sources import hub

PROJECT = Path(__file__).parents[4]
SLUG = "tiny"
CHECK = "scripts.tasks.text_generation.check_weights"
"""The checks that refuse files that are not a model, as most files that are downloaded here are not."""
HEADER = f"bytes=0-{headers.FIRST - 1}"
"""The bytes of a large file that a lock requests."""
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
READ_WHEN_USED = {"HF_TOKEN", "HF_ENDPOINT"}
"""Variables that need no process of their own."""
PLACES = ("models.manifest", "models.weights.places", "models.weights.sources.local", "models.runtimes")
"""The modules that find files by PROJECT."""
DRIVER = """
import importlib, json, runpy, sys
for name, value in json.loads(sys.argv[1]).items():
    module, _, attribute = name.rpartition(".")
    setattr(importlib.import_module(module), attribute, tuple(value) if isinstance(value, list) else value)
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


class Project:
    """The folder. `settings`: constants of modules to change for its commands, by their full name.

    `environment`: variables of its commands; HF_HOME is a separate folder, so that no token of this machine is used.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {CHECK: None}
        unseen = ("HF_TOKEN", "HF_ENDPOINT", "WEIGHTS_ROOT", "MODEL", "SSL_CERT_FILE", *BUNDLES)
        self.environment = {name: value for name, value in os.environ.items() if name not in unseen}
        self.environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": str(folder / "hf"), "ENGINE": "transformers"}
        self.environment |= environment
        (folder / "models" / "catalog" / SLUG).mkdir(parents=True)
        (folder / "scripts").symlink_to(PROJECT / "scripts")
        for part in (PROJECT / "models").iterdir():
            if part.name != "catalog":
                (folder / "models" / part.name).symlink_to(part)

    @property
    def lock(self) -> Path:
        return self.folder / "models" / "catalog" / SLUG / "weights.lock"

    @property
    def weights(self) -> Path:
        return self.folder / "weights" / SLUG

    @property
    def files(self) -> dict[str, bytes]:
        """The files that have their final names."""
        source = self.weights / "source"
        return {str(path.relative_to(source)): path.read_bytes() for path in source.rglob("*") if path.is_file()}

    def locked(self) -> dict[str, Any]:
        return dict(json.loads(self.lock.read_text()))

    def model(self, source: str, *patterns: str, **keys: Any) -> None:
        """Write the manifest: the default model's, with these weights; `keys`: more of that section."""
        content = yaml.safe_load(manifest.path_of(manifest.selected().slug).read_text())
        content.pop("base")  # of which these are not made
        content["weights"] = {"source": source, **({"files": list(patterns)} if patterns else {}), **keys}
        self.lock.with_name("model.yaml").write_text(yaml.safe_dump(content))

    def command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-c", DRIVER, json.dumps(self.settings), f"scripts.{name}", *arguments]

    def start(self, name: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command without waiting for its end."""
        return subprocess.Popen(
            self.command(name),
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command: in this process, which is fast; with variables that libraries read only once, in its own."""
        command, variables = self.command(name, *arguments), self.environment | environment
        if environment.keys() - READ_WHEN_USED:
            return subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True, timeout=120)
        with self._entered(variables), redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as errors:
            status = importlib.import_module(f"scripts.{name}").main(list(arguments))
        return subprocess.CompletedProcess(command, status, out.getvalue(), errors.getvalue())

    @contextmanager
    def _entered(self, variables: dict[str, str]) -> Iterator[None]:
        """What a process of the folder would have: its place, these variables and settings, and nothing remembered."""
        from huggingface_hub import constants

        before = vars(constants).copy()
        with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ, variables, clear=True):
            patch.chdir(self.folder)
            for module in PLACES:
                patch.setattr(f"{module}.PROJECT", self.folder)
            for module in ("models.manifest", "models.weights.lock"):
                patch.setattr(f"{module}.CATALOG", self.folder / "models" / "catalog")
            for name, value in self.settings.items():
                patch.setattr(name, tuple(value) if isinstance(value, list) else value)
            importlib.reload(constants)
            hub._say_no_ascii.cache_clear()
            try:
                yield
            finally:
                vars(constants).update(before)

    def does(self, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command, which must succeed."""
        ran = self.run(name, *arguments, **environment)
        assert ran.returncode == 0, ran.stderr
        return ran

    def refuses(self, name: str, *arguments: str, **environment: str) -> str:
        """Run a command, which must fail; returns the last line of standard error, its one-line error."""
        ran = self.run(name, *arguments, **environment)
        assert ran.returncode == 1, ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr
        return ran.stderr.splitlines()[-1]


def safetensors(size: int, header: dict[str, Any] | None = None) -> bytes:
    """A file of one tensor of `size` random bytes."""
    described = header or {"weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    text = json.dumps(described).encode()
    return len(text).to_bytes(8, "little") + text + os.urandom(size)


def gguf(size: int) -> bytes:
    """A GGUF of one tensor of `size` random bytes."""
    name = b"weight"
    described = b"GGUF" + struct.pack("<IQQQ", 3, 1, 0, len(name)) + name + struct.pack("<IQIQ", 1, size, 24, 0)
    return described.ljust(-(-len(described) // 32) * 32, b"\0") + os.urandom(size)
