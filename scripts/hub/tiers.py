"""A plan of what is published where: one model, or a free small one and a large one behind an API."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from models import manifest, strict
from models.errors import TemplateError
from models.manifest import Device, Manifest
from models.publication import RepositoryName
from models.strict import Strict
from scripts.hub.card import Other
from scripts.hub.publication import Create


class PlanError(TemplateError):
    """A plan that cannot be meant; names file, key and remedy."""


class Tier(Strict):
    """A model and where it goes.

    `hub`: its repository, with the weights as its `release` says; `space`: its demo, which runs there or where `runs`
    says (as for make space); `create`: what is made where there is none. `replicate`: OWNER/NAME, for `device`.
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
        """The model's manifest."""
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
            raise ValueError(f"{twice[0]} is there twice: give each tier its own")
        return self

    def other(self, tier: Tier) -> Other | None:
        """What the page of `tier` links to: the other one, if there are two."""
        return next((Other(one.manifest, one.page) for one in self.tiers if one != tier), None)


def read(path: Path) -> Plan:
    """The plan in a file, its models known to the catalog.

    Raises:
        PlanError: it cannot be meant.
        ManifestError: there is no such model.
    """
    if not path.is_file():
        named = f" {path}" if path.name else ""
        raise PlanError(f"there is no plan{named}: PLAN=examples/publication/smollm2.yaml, or one of your own")
    plan = strict.read(path, Plan, PlanError)
    for tier in plan.tiers:
        manifest.load(tier.model)
    return plan
