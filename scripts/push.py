"""python -m scripts.push TO [--device cpu|cuda] [--until STAGE] [--only STAGE] [--breaking WHY] [--dirty] ...

Releases the selected model: gate, build, proof, push to staging, examples in staging, promotion. Each stage is shown
with its time and written to the ledger (releases/); the first refusal stops it. TO is r8.im/OWNER/MODEL or
REGISTRY/OWNER/MODEL. Needs `cog login` once for r8.im and REPLICATE_API_TOKEN, or `docker login` for another registry.
"""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from models import manifest
from scripts.cli import command
from scripts.cli.device import DeviceOption, chosen_device
from scripts.release import build, delivery, gate, ledger, promotion, proof, target
from scripts.release.release import Release, say
from scripts.rendering.files import rendered

STAGES: dict[str, Callable[[Release], str]] = {
    "ready": lambda release: gate.ready(release, rendered),
    "contract": gate.compare,
    "image": build.build,
    "proof": proof.prove,
    "push": delivery.push,
    "staging": delivery.staging,
    "promote": promotion.promote,
}
_MEANS = {
    "ready": "check that everything is rendered, committed and licensed, and that the token is valid",
    "contract": "compare the class's schema with the live one",
    "image": "prepare {weights}, then: cog build",
    "proof": "run the image: examples, streaming, cancellation, full slots, fuzz",
    "push": "cog push {staging}",
    "staging": "run the examples in staging",
    "promote": "make that digest live at {live}",
}


def main(argv: list[str]) -> int:
    return command.run(push, argv, "scripts.push")


def push(
    to: Annotated[str, typer.Argument(help="REGISTRY/OWNER/MODEL, for example r8.im/you/smollm2")] = "",
    device: DeviceOption = "",
    until: Annotated[str, typer.Option(help=f"stop after this stage: {', '.join(STAGES)}")] = "",
    only: Annotated[str, typer.Option(help="run only this stage")] = "",
    breaking: Annotated[
        str, typer.Option(envvar="BREAKING", help="why a contract that breaks callers may pass, for the ledger")
    ] = "",
    dirty: Annotated[
        bool, typer.Option("--dirty", help="release uncommitted changes, which the ledger records")
    ] = False,
    create: Annotated[str, typer.Option(help="create the missing model on Replicate: private or public")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would be done")] = False,
) -> None:
    """Release the selected model on Replicate or in another registry."""
    names = _chosen(until, only)
    release = Release(manifest.selected(), chosen_device(device), target.parse(to), breaking, dirty, create)
    if dry_run:
        print("\n".join(f"{name}: would {_would(release, name)}" for name in names))
        return
    with ledger.exclusive(release.model.slug):
        release.run([(name, STAGES[name]) for name in names])
    say(f"noted in the ledger, commit it: releases/{release.model.slug}.jsonl")
    if release.digest:
        print(
            f"{release.target.production if 'promote' in names else release.target.staging_repository}@{release.digest}"
        )


def _chosen(until: str, only: str) -> list[str]:
    for name in (until, only):
        if name and name not in STAGES:
            raise command.UsageError(f"there is no stage {name!r}: {', '.join(STAGES)}")
    names = list(STAGES)
    return [only] if only else names[: names.index(until) + 1] if until else names


def _would(release: Release, name: str) -> str:
    engine = release.model.engine_on(release.device).engine
    fetched = release.model.weights.delivery == "fetched"
    return _MEANS[name].format(
        weights="no weights, which setup fetches" if fetched else f"{engine}'s weights of {release.model.slug}",
        staging=release.target.staging,
        live=", ".join(
            [release.target.production, *(release.model.deployments if release.target.is_replicate else [])]
        ),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
