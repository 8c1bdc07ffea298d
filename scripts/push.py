"""python -m scripts.push r8.im/OWNER/MODEL [--device cpu|cuda] [--dry-run]

Builds the container with its weights and pushes it with `cog push`; prints the digest that arrived, which on Replicate
is the version's id. Needs `cog login` once for r8.im, or `docker login` for another registry.
"""

import sys
from typing import Annotated

import typer

from models import manifest
from models.errors import TemplateError
from scripts import command
from scripts.image import DeviceOption, bake, build_flags, chosen_device, run_cog
from scripts.render import CONFIGS


def main(argv: list[str]) -> int:
    """Push; 0 when the registry has the image."""
    return command.run(push, argv, "scripts.push")


def push(
    to: Annotated[str, typer.Argument(help="REGISTRY/OWNER/MODEL, for example r8.im/you/smollm2")] = "",
    device: DeviceOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done")] = False,
) -> None:
    """Push the container to Replicate or to another registry."""
    parts = to.split("/")
    if len(parts) < 3 or not all(parts):
        raise command.UsageError("where to? make push TO=r8.im/OWNER/MODEL, or TO=REGISTRY/OWNER/MODEL")
    model, chosen = manifest.selected(), chosen_device(device)
    arguments = ["push", to, "-f", CONFIGS[chosen], *build_flags()]
    if dry_run:
        engine = model.engine_on(chosen).engine
        print(f"would bake {engine}'s weights of {model.slug}, then run: cog {' '.join(arguments)}")
        return
    bake(model, model.engine_on(chosen))
    run_cog(*arguments)
    print(pushed_digest(to))


def pushed_digest(name: str) -> str:
    """NAME@sha256:... of the image that was last pushed as `name`.

    Raises:
        TemplateError: the engine knows of no such push.
    """
    import docker

    repository = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
    client = docker.from_env()
    try:
        digests: list[str] = client.images.get(name).attrs["RepoDigests"]
    except docker.errors.ImageNotFound:
        digests = []
    finally:
        client.close()
    for digest in digests:
        if digest.partition("@")[0] == repository:
            return digest
    raise TemplateError(f"cog push ended well, but the engine knows of no pushed {name}: docker images --digests")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
