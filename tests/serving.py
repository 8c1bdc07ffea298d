"""Cog's real server of a model or of a small class, as tests of a fork and of the template start it."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import pytest

from models import manifest, runtimes
from models.manifest import PROJECT, Manifest
from scripts.contract import schema
from scripts.conversion import weights
from scripts.serving import local_server


@contextmanager
def serving(model: Manifest, engine: str) -> Iterator[str]:
    """The address of a server of the model on `engine`; ready when the block begins."""
    with ExitStack() as until_the_end:
        with pytest.MonkeyPatch.context() as environment:  # only the server is started on this engine
            environment.setenv("ENGINE", engine)
            weights.ensure(model, runtimes.choose(model))
            address, _ = until_the_end.enter_context(local_server.running(model))
        yield address


@contextmanager
def serving_class(
    source: str, folder: Path, model: Manifest | None = None, log: IO[bytes] | None = None
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The address and the process of a server of the class in `source`, which is in `folder` in place of predict.py's.

    `model`: the class is that of its task, by default of the selected model's, or the only one.
    """
    (folder / "predict.py").write_text(source, encoding="utf-8")
    with ExitStack() as until_the_end:
        with pytest.MonkeyPatch.context() as patch:  # only the server is started there
            for module in (local_server, schema):
                patch.setattr(module, "PROJECT", folder)
            patch.setenv("PYTHONPATH", str(PROJECT))
            running = until_the_end.enter_context(local_server.running(model or manifest.selected(), log=log))
        yield running
