"""The local Replicate's routes for the account, models and versions; each cites its documentation.

Where the documentation gives a rule but not the status of its refusal, 403 is used for things of other accounts, and
409 for things that the current state forbids.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .replicate_http import Answer, Call, Problem, Route, invalid, not_found, page
from .replicate_registry import Repository, Version

if TYPE_CHECKING:
    from .replicate import Replicate

HARDWARE = ("cpu", "gpu-t4", "gpu-l40s", "gpu-a100-large", "gpu-h100")


def _sku(value: str) -> str:
    if value not in HARDWARE:
        raise ValueError(f"there is no hardware {value!r}")
    return value


def _slug(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", value):
        raise ValueError("use lower-case letters, digits, and single dashes, underscores or periods between them")
    return value


Sku = Annotated[str, AfterValidator(_sku)]
Slug = Annotated[str, AfterValidator(_slug)]


class Strict(BaseModel):
    """A request body with only documented fields, and no value that needs conversion."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewModel(Strict):
    owner: str
    name: Slug
    visibility: Literal["public", "private"]
    hardware: Sku
    description: str | None = None
    github_url: str | None = None
    paper_url: str | None = None
    license_url: str | None = None
    cover_image_url: str | None = None


class ModelUpdate(Strict):
    description: str | None = None
    readme: str | None = None
    github_url: str | None = None
    paper_url: str | None = None
    weights_url: str | None = None
    license_url: str | None = None


class Scale(Strict):
    min_instances: int = Field(ge=0, le=5)
    max_instances: int = Field(ge=0, le=20)


@dataclass
class Model:
    """A model: the data that its owner gave, and the images under its name in the registry."""

    owner: str
    fields: dict[str, Any]
    repository: Repository
    readme: str = ""
    run_count: int = 0

    @property
    def full_name(self) -> str:
        return self.repository.name

    def as_json(self, official: set[str]) -> dict[str, Any]:
        versions = self.repository.refresh()
        return {
            "url": f"https://replicate.com/{self.full_name}",
            "owner": self.owner,
            **self.fields,
            "is_official": self.full_name in official,
            "run_count": self.run_count,
            "default_example": None,
            "latest_version": versions[-1].as_json() if versions else None,
        }


def account(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#account.get"""
    return Answer(200, created_by(call.account))


def created_by(username: str) -> dict[str, str]:
    """An account as it is returned."""
    return {
        "type": "organization",
        "username": username,
        "name": f"{username.capitalize()} Corp, Inc.",
        "github_url": f"https://github.com/{username}",
    }


def create_model(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#models.create"""
    body = call.body(NewModel)
    if body.owner != call.account:
        raise Problem(403, "Forbidden", f"The token in use does not belong to {body.owner}.")
    full_name = f"{body.owner}/{body.name}"
    fields = body.model_dump(exclude={"owner", "hardware"})
    model = Model(body.owner, fields, Repository(replicate.registry, full_name))
    if replicate.models.setdefault(full_name, model) is not model:
        raise Problem(409, "Conflict", f"A model with that name already exists: {full_name}")
    return Answer(201, model.as_json(replicate.official))


def get_model(replicate: "Replicate", call: Call, owner: str, name: str) -> Answer:
    """https://replicate.com/docs/reference/http#models.get"""
    return Answer(200, visible_model(replicate, call, owner, name).as_json(replicate.official))


def update_model(replicate: "Replicate", call: Call, owner: str, name: str) -> Answer:
    """https://replicate.com/docs/reference/http#models.update"""
    model = own_model(replicate, call, owner, name)
    changes = call.body(ModelUpdate).model_dump(exclude_unset=True)
    model.readme = changes.pop("readme", model.readme)
    model.fields.update(changes)
    return Answer(200, model.as_json(replicate.official))


def list_versions(replicate: "Replicate", call: Call, owner: str, name: str) -> Answer:
    """https://replicate.com/docs/reference/http#models.versions.list: the most recent first."""
    versions = visible_model(replicate, call, owner, name).repository.refresh()
    items = [version.as_json() for version in reversed(versions)]
    return Answer(200, page(call, replicate.address, items, "id", replicate.page_size))


def get_version(replicate: "Replicate", call: Call, owner: str, name: str, id: str) -> Answer:
    """https://replicate.com/docs/reference/http#models.versions.get"""
    return Answer(200, version_of(visible_model(replicate, call, owner, name), id).as_json())


def visible_model(replicate: "Replicate", call: Call, owner: str, name: str) -> Model:
    """A model that the caller may see; a private one of another account is not found."""
    model = replicate.models.get(f"{owner}/{name}")
    if model is None or (model.fields["visibility"] == "private" and model.owner != call.account):
        raise not_found("The requested model")
    return model


def own_model(replicate: "Replicate", call: Call, owner: str, name: str) -> Model:
    model = visible_model(replicate, call, owner, name)
    if model.owner != call.account:
        raise Problem(403, "Forbidden", f"The model belongs to {owner}.")
    return model


def version_of(model: Model, id: str) -> Version:
    for version in model.repository.refresh():
        if version.id == id:
            return version
    raise not_found("The requested version")


def check_input(version: Version, inputs: dict[str, Any]) -> None:
    """Check an input against the version's schema.

    Raises:
        Problem: 422 that names each wrong field.
    """
    if refusals := version.refusals(inputs):
        raise invalid(refusals)


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/v1/account"): account,
    ("POST", "/v1/models"): create_model,
    ("GET", "/v1/models/{owner}/{name}"): get_model,
    ("PATCH", "/v1/models/{owner}/{name}"): update_model,
    ("GET", "/v1/models/{owner}/{name}/versions"): list_versions,
    ("GET", "/v1/models/{owner}/{name}/versions/{id}"): get_version,
}
