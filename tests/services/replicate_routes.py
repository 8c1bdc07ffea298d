"""The local Replicate's routes for the account, hardware, models and versions; each cites its documentation.

Where the documentation gives a rule but not the status of its refusal, 403 is used for things of other accounts, and
409 for things that the current state forbids.
"""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .replicate_http import Answer, Call, Problem, Route, invalid, not_found, now, page
from .replicate_registry import Repository, Version

if TYPE_CHECKING:
    from .replicate import Replicate

HARDWARE = {
    "cpu": "CPU",
    "gpu-t4": "Nvidia T4 GPU",
    "gpu-l40s": "Nvidia L40S GPU",
    "gpu-a100-large": "Nvidia A100 (80GB) GPU",
    "gpu-h100": "Nvidia H100 GPU",
}


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
class Collection:
    """A collection of models, by their OWNER/NAMEs."""

    slug: str
    name: str
    description: str
    models: list[str]

    def as_json(self) -> dict[str, Any]:
        return {"slug": self.slug, "name": self.name, "description": self.description}


@dataclass
class Model:
    """A model: the data that its owner gave, and the images under its name in the registry."""

    owner: str
    fields: dict[str, Any]
    repository: Repository
    readme: str = ""
    run_count: int = 0
    created_at: str = field(default_factory=now)

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


def hardware(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#hardware.list"""
    return Answer(200, [{"sku": sku, "name": name} for sku, name in HARDWARE.items()])


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


def list_models(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#models.list: the public ones, the newest first."""
    items = [model.as_json(replicate.official) for model in _public_models(replicate)]
    return Answer(200, page(call, replicate.address, items, "url", replicate.page_size))


def search_models(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#models.search: QUERY, the words as plain text; public models."""
    if call.headers.get_content_type() != "text/plain":
        raise Problem(415, "Unsupported media type", "Send the words as text/plain.")
    words = call.content.decode().strip(' "').lower().split()  # the JavaScript client sends them as a JSON string
    found = []
    for model in _public_models(replicate):
        text = f"{model.full_name} {model.fields['description'] or ''}".lower()
        found += [model.as_json(replicate.official)] if all(word in text for word in words) else []
    return Answer(200, page(call, replicate.address, found, "url", replicate.page_size))


def _public_models(replicate: "Replicate") -> list[Model]:
    public = [model for model in list(replicate.models.values()) if model.fields["visibility"] == "public"]
    return sorted(public, key=lambda model: model.created_at, reverse=True)


def list_collections(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#collections.list"""
    items = [collection.as_json() for collection in replicate.collections.values()]
    return Answer(200, page(call, replicate.address, items, "slug", replicate.page_size))


def get_collection(replicate: "Replicate", call: Call, slug: str) -> Answer:
    """https://replicate.com/docs/reference/http#collections.get: with its models."""
    if slug not in replicate.collections:
        raise not_found("The requested collection")
    collection = replicate.collections[slug]
    models = [model for model in _public_models(replicate) if model.full_name in collection.models]
    return Answer(200, collection.as_json() | {"models": [model.as_json(replicate.official) for model in models]})


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


def delete_model(replicate: "Replicate", call: Call, owner: str, name: str) -> Answer:
    """https://replicate.com/docs/reference/http#models.delete: private ones without versions, by their owner."""
    model = own_model(replicate, call, owner, name)
    if model.fields["visibility"] != "private":
        raise Problem(403, "Forbidden", "Only private models can be deleted.")
    if model.repository.refresh():
        raise Problem(409, "Conflict", "The model has versions: delete them first.")
    del replicate.models[model.full_name]
    return Answer(204)


def get_readme(replicate: "Replicate", call: Call, owner: str, name: str) -> Answer:
    """https://replicate.com/docs/reference/http#models.readme.get"""
    model = visible_model(replicate, call, owner, name)
    if not model.readme:
        raise not_found("The README")
    return Answer(200, data=model.readme.encode(), kind="text/plain; charset=utf-8")


def list_versions(replicate: "Replicate", call: Call, owner: str, name: str) -> Answer:
    """https://replicate.com/docs/reference/http#models.versions.list: the most recent first."""
    versions = visible_model(replicate, call, owner, name).repository.refresh()
    items = [version.as_json() for version in reversed(versions)]
    return Answer(200, page(call, replicate.address, items, "id", replicate.page_size))


def get_version(replicate: "Replicate", call: Call, owner: str, name: str, id: str) -> Answer:
    """https://replicate.com/docs/reference/http#models.versions.get"""
    return Answer(200, version_of(visible_model(replicate, call, owner, name), id).as_json())


def delete_version(replicate: "Replicate", call: Call, owner: str, name: str, id: str) -> Answer:
    """https://replicate.com/docs/reference/http#models.versions.delete: of private models, if no deployment uses it.

    The registry keeps the image; only this Replicate forgets it.
    """
    model = own_model(replicate, call, owner, name)
    version = version_of(model, id)
    if model.fields["visibility"] != "private":
        raise Problem(403, "Forbidden", "Only versions of private models can be deleted.")
    if any(deployment.release["version"] == id for deployment in list(replicate.deployments.values())):
        raise Problem(409, "Conflict", "The version has a deployment.")
    model.repository.deleted.add(version.id)
    model.repository.versions.remove(version)
    replicate.predictions = {key: each for key, each in replicate.predictions.items() if each.version.id != id}
    return Answer(202)


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
    ("GET", "/v1/hardware"): hardware,
    ("POST", "/v1/models"): create_model,
    ("GET", "/v1/models"): list_models,
    ("QUERY", "/v1/models"): search_models,
    ("GET", "/v1/models/{owner}/{name}"): get_model,
    ("PATCH", "/v1/models/{owner}/{name}"): update_model,
    ("DELETE", "/v1/models/{owner}/{name}"): delete_model,
    ("GET", "/v1/models/{owner}/{name}/readme"): get_readme,
    ("GET", "/v1/models/{owner}/{name}/versions"): list_versions,
    ("GET", "/v1/models/{owner}/{name}/versions/{id}"): get_version,
    ("DELETE", "/v1/models/{owner}/{name}/versions/{id}"): delete_version,
    ("GET", "/v1/collections"): list_collections,
    ("GET", "/v1/collections/{slug}"): get_collection,
}
