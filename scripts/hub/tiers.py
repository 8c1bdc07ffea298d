"""A plan of what to publish where: one model, or a free small one and a large one behind an API."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from models import manifest, strict
from models.engine import Device
from models.errors import TemplateError
from models.manifest import Manifest
from models.publication import RepositoryName
from models.strict import Strict
from scripts.hub.card import Other
from scripts.hub.publication import Create


class PlanError(TemplateError):
    """A plan is wrong; names file, key and remedy."""


class Tier(Strict):
    """A model and where it goes.

    `hub`: its repository, with the weights as its `release` allows; `space`: its demo; `runs`: where the demo's
    predictions run (as for make space); `create`: the visibility of new ones. `replicate`: OWNER/NAME, for `device`.
    """

    model: str
    hub: RepositoryName | None = None
    space: RepositoryName | None = None
    runs: str = "own"
    create: Create = "private"
    replicate: Annotated[str, Field(pattern=r"^[a-z0-9._-]+/[a-z0-9._-]+$")] | None = None
    device: Device = "cuda"

    @model_validator(mode="after")
    def _goes_somewhere(self) -> "Tier":
        if not (self.hub or self.space or self.replicate):
            raise ValueError(f"{self.model} goes nowhere: set hub, space or replicate")
        return self

    @property
    def manifest(self) -> Manifest:
        return manifest.load(self.model)

    @property
    def page(self) -> str:
        """The page where people find it."""
        if self.hub:
            return f"https://huggingface.co/{self.hub}"
        where = f"replicate.com/{self.replicate}" if self.replicate else f"huggingface.co/spaces/{self.space}"
        return f"https://{where}"


class Plan(Strict):
    """One model, or two that link to each other."""

    tiers: list[Tier] = Field(min_length=1, max_length=2)

    @model_validator(mode="after")
    def _differ(self) -> "Plan":
        names = [
            (kind, name)
            for tier in self.tiers
            for kind in ("hub", "space", "replicate", "model")
            if (name := getattr(tier, kind))
        ]
        if twice := sorted({name for kind, name in names if names.count((kind, name)) > 1}):
            raise ValueError(f"{twice[0]} is named twice: give each tier its own")
        return self

    def other(self, tier: Tier) -> Other | None:
        """The tier that the page of `tier` links to: the other one, if there are two."""
        return next((Other(one.manifest, one.page) for one in self.tiers if one != tier), None)


def read(path: Path) -> Plan:
    """The plan in a file; its models are in the catalog.

    Raises:
        PlanError: it is missing or wrong.
        ManifestError: there is no such model.
    """
    if not path.is_file():
        named = f" {path}" if path.name else ""
        raise PlanError(f"there is no plan{named}: PLAN=examples/publication/smollm2.yaml, or one of your own")
    plan = strict.read(path, Plan, PlanError)
    for tier in plan.tiers:
        manifest.load(tier.model)
    return plan
