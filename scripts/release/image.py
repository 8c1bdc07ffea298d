"""Builds the container with the real cog command, including the weights that its engine loads."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from models import runtimes, weights
from models.engine import Device, EngineChoice
from models.errors import TemplateError
from models.manifest import PROJECT, Manifest, path_of, rendered_for
from models.weights import lock
from models.weights.files import described
from scripts.cli.device import CONFIGS
from scripts.cli.files import link_or_copy
from scripts.contract import label, schema
from scripts.conversion.weights import ensure
from scripts.serving import docker_engine


def build(model: Manifest, device: Device, tag: str = "") -> str:
    """Prepare the weights and build; returns the image's name.

    Raises:
        TemplateError: the weights are not available, cog is missing or refused, the configuration is for another
            model, or the image's contract is not that of predict.py.
    """
    if (rendered := rendered_for(CONFIGS[device])) != model.slug:
        raise TemplateError(
            f"{CONFIGS[device]} is for {rendered or 'no model'}, and MODEL is {model.slug}: make use MODEL={model.slug}"
        )
    tag = tag or f"{model.slug}:{device}"
    bake(model, model.engine_on(device))
    with docker_engine.connected() as client:
        _end_killed_build(client, tag)
    with build_folder(model) as folder:
        run_cog("build", "-f", CONFIGS[device], *build_flags(), "-t", tag, folder=folder)
    with docker_engine.connected() as client:
        label.check(client.images.get(tag).attrs, schema.served_class(model))
    return tag


def _end_killed_build(client: Any, tag: str) -> None:
    """Remove the containers in which a killed `cog build` of this name still looks at its image.

    cog 0.22 gives an image for r8.im another name until it is complete, and cannot remove that name while a container
    uses it (pkg/image/build.go; docs/upgrading.md).
    """
    from docker.errors import APIError

    unfinished = f"cog-tmp:{hashlib.sha256(tag.encode()).hexdigest()}"
    for container in client.containers.list(all=True, ignore_removed=True):
        if container.attrs["Config"]["Image"] == unfinished:
            with suppress(APIError):  # it ends by itself
                container.remove(force=True)


def bake(model: Manifest, choice: EngineChoice) -> None:
    """Put only the files of one engine into baked/, which the next `cog build` copies into the image.

    They are hard links to weights/, so they take no space. A model whose container fetches its weights gets none.
    """
    baked = PROJECT / "baked"
    shutil.rmtree(baked, ignore_errors=True)
    baked.mkdir()
    for one in model.parts:
        if one.weights.delivery == "baked" and one.weights.source:
            own = one.like(choice)
            ensure(one, own)
            part = runtimes.part_of(one, own)
            weights.verify(one, part, full=True)
            shutil.copytree(weights.folder(one.slug, part), baked / one.slug / part, copy_function=link_or_copy)


def build_flags() -> list[str]:
    """Put weights in separate layers. Use public base images, unless COG_BASE_IMAGE=true asks for Replicate's own
    ones, which start faster there.
    """
    return ["--separate-weights", f"--use-cog-base-image={os.environ.get('COG_BASE_IMAGE') or 'false'}"]


@contextmanager
def build_folder(model: Manifest) -> Iterator[Path]:
    """A new folder for one build: the files that .dockerignore allows, and the requirements, which cog reads itself.

    `cog build --separate-weights` needs it for two reasons. First, it treats every big file in the folder as weights,
    whatever .dockerignore says, and fails on those of weights/ and .venv/. Second, it makes the image NAME-weights only
    if the weights differ from the record in .cog/cache, although that image may be gone or have another name. A new
    folder has no record, and Docker's cache makes the image at once.

    The configurations in it name the manifest and the lock of the build in the key `image`: cog keeps the key in the
    label run.cog.config, and it adds no layer.
    """
    from docker.utils import exclude_paths

    ignored = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    requirements = {str(path.relative_to(PROJECT)) for path in (PROJECT / "requirements").iterdir()}
    (PROJECT / ".cog").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=PROJECT / ".cog") as name:
        for path in exclude_paths(PROJECT, ignored) | requirements:
            if (PROJECT / path).is_file():
                (Path(name) / path).parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(str(PROJECT / path), str(Path(name) / path))
        for config in Path(name).glob("cog*.yaml"):
            text = config.read_text(encoding="utf-8") + _digests(model)
            config.unlink()  # it is a hard link to the project's file
            config.write_text(text, encoding="utf-8")
        yield Path(name)


def run_cog(*arguments: str, folder: Path = PROJECT) -> None:
    """Run the real cog command in `folder`, with its output on this terminal.

    Raises:
        TemplateError: it is not installed, or it failed.
    """
    if shutil.which("cog") is None:
        raise TemplateError("the cog command is missing: https://cog.run/#install, then: make doctor")
    if subprocess.run(["cog", *arguments], cwd=folder).returncode != 0:
        raise TemplateError(f"cog {arguments[0]} failed: see its message above, then: make doctor")


def _digests(model: Manifest) -> str:
    """The line with the digests of manifest and locks, for a configuration."""
    locks = [f"/weights.lock-{described(lock.path_of(one.slug)).sha256}" for one in model.parts if one.weights.source]
    return f"image: {model.slug}/manifest-{described(path_of(model.slug)).sha256}{''.join(locks)}\n"
