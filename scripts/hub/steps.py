"""The steps of a plan, in order. Each step can be repeated; the ledger says which were done."""

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from models import manifest
from scripts.cli import repository as project
from scripts.hub import card, client, contents, planning
from scripts.hub.card import Pages
from scripts.hub.publication import Publication, note
from scripts.hub.repository import STEP, Repo
from scripts.hub.tiers import Plan, Tier
from scripts.release import ledger
from scripts.release.ledger import Entry
from scripts.release.release import Refused
from scripts.release.target import REPLICATE
from scripts.replicate import client as replicate_api

PROMOTE, PAGE = "promote", "page"


@dataclass(frozen=True)
class Step:
    """`what` is published, and `to` where (its name in the ledger); `name`: of the ledger's line that ends it."""

    tier: Tier
    name: str
    what: str
    to: str
    act: Callable[[], None]

    @property
    def last(self) -> Entry | None:
        """How it last ended, from the ledger; None if it was never done."""
        found = [entry for entry in ledger.read(self.tier.model) if (entry.step, entry.to) == (self.name, self.to)]
        return found[-1] if found else None

    @property
    def is_done(self) -> bool:
        """Whether it need not be repeated: Replicate has a version that was made from the project's current files.

        Steps for the Hub compare files with the Hub's instead.
        """
        entry = self.last
        return (
            self.name == PROMOTE
            and entry is not None
            and entry.result == "ok"
            and project.is_unchanged_since(entry.commit)
        )


def of(plan: Plan) -> list[Step]:
    """Every step. Manifests and licences are checked here, before any step is done.

    Raises:
        TemplateError: a fact for a card is missing, or a licence or the manifest's `release` forbids the plan.
    """
    steps = [step for tier in plan.tiers for step in _steps(plan, tier)]
    for tier in plan.tiers:
        if tier.hub:
            _repository(plan, tier)
        if tier.space:
            planning.check_demo(tier.manifest, tier.runs)
    return steps


def _steps(plan: Plan, tier: Tier) -> list[Step]:
    found = []
    if tier.replicate:
        image = f"{REPLICATE}/{tier.replicate}"
        found.append(Step(tier, PROMOTE, "version", image, partial(_push, tier, image)))
        found.append(Step(tier, PAGE, "page", image, partial(_page, plan, tier, image)))
    if tier.hub:
        found.append(Step(tier, STEP, "repository", Repo(tier.hub).to, partial(_publish, plan, tier)))
    if tier.space:
        found.append(Step(tier, STEP, "demo", Repo(tier.space, "space").to, partial(_space, tier)))
    return found


def _repository(plan: Plan, tier: Tier) -> Publication:
    return planning.repository_of(
        tier.manifest,
        tier.hub or "",
        create=tier.create,
        space=tier.space or "",
        replicate=tier.replicate or "",
        other=plan.other(tier),
    )


def _publish(plan: Plan, tier: Tier) -> None:
    api = client.connect()
    planning.ready(tier.manifest)
    _repository(plan, tier).publish(api)


def _space(tier: Tier) -> None:
    api = client.connect()
    with tempfile.TemporaryDirectory(prefix="space-") as name:
        planning.space_of(tier.manifest, tier.space or "", tier.runs, Path(name), create=tier.create).publish(api)


def _push(tier: Tier, image: str) -> None:
    """Release it with make push, with all its stages.

    Raises:
        Refused: a stage refused; it has printed why.
    """
    command = [sys.executable, "-m", "scripts.push", image, "--device", tier.device, "--create", tier.create]
    environment = os.environ | {"MODEL": tier.model}
    if subprocess.run(command, env=environment, cwd=manifest.PROJECT).returncode:
        again = f"make push MODEL={tier.model} TO={image} DEVICE={tier.device}"
        raise Refused(f"{image} was not released, see above: fix it, then run make publish-all again, or {again}")


def _page(plan: Plan, tier: Tier, image: str) -> None:
    """Give the model's page on Replicate the card, and links to the weights and the licence.

    https://replicate.com/docs/reference/http#models.update, for which the Python client has no method.

    Raises:
        ReplicateRefusal: Replicate refuses it, or cannot be reached.
    """
    from huggingface_hub import ModelCard

    model, access = tier.manifest, contents.access_today(tier.manifest)
    where = tier.hub or (model.base.model if model.base else tier.model)
    text = card.render(model, Pages(where, tier.replicate, tier.space, plan.other(tier)))
    page = {"description": model.summary, "readme": ModelCard(text).text, "license_url": model.license.link}
    if tier.hub and access != "api-only":
        page["weights_url"] = tier.page
    api = replicate_api.connect()
    replicate_api.ask(
        f"the page of {tier.replicate}", lambda: api._request("PATCH", f"/v1/models/{tier.replicate}", json=page)
    )
    note(model, uuid.uuid4().hex[:12], PAGE, image, "ok")
