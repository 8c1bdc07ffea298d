"""The manifest of a model: strict types for models/catalog/<slug>/model.yaml, from which all rendered files are made.

Each task adds its own keys: the class `Manifest` in models/tasks/<task>/manifest.py.
"""

import importlib
import json
import os
import re
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from models import strict
from models.engine import Device, EngineChoice, with_dtype
from models.errors import ManifestError
from models.facts import Facts
from models.origin import Weights
from models.publication import Base, License, Quote, Release
from models.strict import Strict

PROJECT = Path(__file__).parents[1]
CATALOG = PROJECT / "models" / "catalog"
TASKS = PROJECT / "models" / "tasks"

_ROUNDED = 0.1


class Hardware(Strict):
    """`replicate`: a hardware SKU of Replicate's API; `memory_gb`: what a server of this model needs."""

    replicate: str
    memory_gb: float = Field(gt=0)


class Expectation(Strict):
    """What must be true of an example's output and metrics; each task has its own keys."""

    @abstractmethod
    def failures(self, output: Any, metrics: dict[str, Any]) -> list[str]:
        """A sentence for each expectation that a prediction's `output` and `metrics` do not meet; empty if all do."""


class Example(Strict):
    """An input of predict() and what must be true of its output."""

    name: str
    input: dict[str, Any]
    expect: Expectation


class Manifest(Strict):
    """The part of a model's manifest that all tasks have in common.

    `parameters`: their count, left out if the files of the weights give it; `uses`: the catalog models that make up a
    pipeline, which has no weights of its own (docs/pipelines.md); `deployments`: OWNER/NAME on Replicate, in the order
    in which a promotion updates them.
    The keys after `examples` are for the model card and the release (models/publication.py): `card` is the link to the
    card that the facts are from, `datasets` are names on the Hub, `misuse` says what the model is not for.
    """

    task: str
    title: str
    summary: str
    license: License
    parameters: int | None = Field(default=None, gt=0)
    uses: list[str] = []
    weights: Weights = Weights()
    engines: Sequence[EngineChoice] = Field(min_length=1)
    hardware: Hardware
    deployments: list[Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]] = []
    examples: Sequence[Example] = Field(min_length=3)
    card: str | None = None
    base: Base | None = None
    languages: list[str] = []
    tags: list[str] = []
    datasets: list[str] = []
    intended_use: str | None = None
    misuse: str | None = None
    limitations: str | None = None
    training_data: str | None = None
    evaluations: list[Quote] = []
    citation: str | None = None
    release: Release | None = None

    _slug: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _is_changed_by_its_adapter(self) -> "Manifest":
        if self.weights.adapter and self.base and self.base.relation in ("copy", "quantized"):
            raise ValueError(
                f"base.relation is {self.base.relation}, but weights.adapter changes the model: set it to adapter"
            )
        return self

    @field_validator("engines")
    @classmethod
    def _have_dtypes(cls, engines: Sequence[EngineChoice], info: ValidationInfo) -> Sequence[EngineChoice]:
        weights, uses = info.data.get("weights"), info.data.get("uses")
        return [with_dtype(choice, weights) for choice in engines] if weights and not uses else engines

    @property
    def slug(self) -> str:
        """The name of the model's folder in models/catalog."""
        return self._slug

    @property
    def predictor_class(self) -> str:
        """The class of predict.py that serves this task: TextGeneration for text-generation."""
        return class_of(self.task)

    @property
    def parts(self) -> "list[Manifest]":
        """The models whose weights are needed: those of `uses`, or the model itself."""
        return [load(slug) for slug in self.uses] or [self]

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that a process needs to serve the model."""
        return {name: value for slug in self.uses for name, value in load(slug).environment.items()}

    def like(self, choice: EngineChoice) -> EngineChoice:
        """The model's own choice for the engine and device of a pipeline's `choice`.

        Raises:
            ManifestError: the manifest has none.
        """
        for own in self.engines:
            if (own.engine, own.device) == (choice.engine, choice.device):
                return own
        raise ManifestError(
            f"{self.slug} has no {choice.engine} on {choice.device}, which the model that uses it names: add it under "
            f"`engines` in {path_of(self.slug)}"
        )

    def engine_on(self, device: Device) -> EngineChoice:
        """The best engine for `device`.

        Raises:
            ManifestError: the manifest names none.
        """
        for choice in self.engines:
            if choice.device == device:
                return choice
        raise ManifestError(f"{self.slug} has no engine for {device}: add one under `engines` in {path_of(self.slug)}")

    @classmethod
    def keys_of(cls, facts: Facts) -> dict[str, Any]:
        """The keys whose values are read from the files of the weights; None where the files do not give one."""
        return {"parameters": facts.parameters}

    def with_facts(self, facts: Facts) -> "Manifest":
        """The manifest, completed with the facts from the files of its weights.

        Raises:
            ManifestError: the manifest has another value than the files; names both.
        """
        read = {key: value for key, value in self.keys_of(facts).items() if value is not None}
        for key, value in read.items():
            if (written := getattr(self, key)) is not None and _differs(key, written, value):
                raise ManifestError(
                    f"{path_of(self.slug)}: {key}: {written} here, and {value} in the files of the weights: "
                    "remove the key, as weights.lock has it"
                )
        return self.model_copy(update=read)


def _differs(key: str, written: Any, read: Any) -> bool:
    """Parameter counts may differ a little: people round them, and quantised files also hold scales."""
    return abs(written - read) > _ROUNDED * read if key == "parameters" else bool(written != read)


Kind = TypeVar("Kind", bound=Manifest)


def slugs() -> list[str]:
    """The folder names of the models in the catalog."""
    return sorted(path.parent.name for path in CATALOG.glob("*/model.yaml"))


def tasks() -> list[str]:
    """The tasks that a model can have, as a manifest names them, like text-generation."""
    return sorted(path.parent.name.replace("_", "-") for path in TASKS.glob("*/manifest.py"))


def class_of(task: str) -> str:
    """The class of predict.py that serves a task: TextGeneration for text-generation."""
    return task.title().replace("-", "")


def path_of(slug: str) -> Path:
    return CATALOG / slug / "model.yaml"


def selected() -> Manifest:
    """The model that the variable MODEL names; otherwise the one that cog.yaml was rendered for, or the only one.

    Raises:
        ManifestError: MODEL names no model, or it is not set and the catalog has several.
    """
    if wanted := os.environ.get("MODEL"):
        return load(wanted)
    known, rendered = slugs(), rendered_for("cog.yaml")
    if rendered not in known and len(known) != 1:
        raise ManifestError(f"set MODEL to one of {', '.join(known) or '(models/catalog is empty)'}")
    return load(rendered if rendered in known else known[0])


def selected_as(kind: type[Kind], slug: str = "") -> Kind:
    """The model `slug`, or else the selected one, which must have the task of the manifest class `kind`.

    Raises:
        ManifestError: it has another task, or no model can be selected.
    """
    model = load(slug) if slug else selected()
    if not isinstance(model, kind):
        wanted = kind.__module__.split(".")[-2].replace("_", "-")
        raise ManifestError(f"{model.slug} is a model for {model.task}, not for {wanted}: set MODEL to another")
    return model


def load(slug: str) -> Manifest:
    """Read models/catalog/<slug>/model.yaml, and check it with the manifest class of its task.

    Raises:
        ManifestError: there is no such model, or its manifest is wrong; names the file, the key and the remedy.
    """
    manifest = _read(slug)
    _check_uses(manifest)
    return manifest.with_facts(_locked_facts(manifest))


def _read(slug: str) -> Manifest:
    """The manifest as it is written, without the facts from weights.lock."""
    path = path_of(slug)
    if not path.is_file():
        raise ManifestError(f"there is no model {slug!r}{strict.suggestion(slug, slugs())}: make {path}, or set MODEL")
    content = strict.content(path, ManifestError)
    manifest = strict.check(path, content, _kind_of(path, content), ManifestError)
    manifest._slug = slug
    return manifest


def _check_uses(manifest: Manifest) -> None:
    """Check that the models of a pipeline exist, and have the engines and devices of the pipeline."""
    if manifest.uses and manifest.weights.source:
        raise ManifestError(f"{path_of(manifest.slug)}: uses and weights exclude each other: leave one of them out")
    for slug in manifest.uses:
        used = _read(slug)
        if used.uses:
            raise ManifestError(
                f"{path_of(manifest.slug)}: uses: {slug} is a pipeline itself: name models with weights"
            )
        for choice in manifest.engines:
            used.like(choice)


def _locked_facts(manifest: Manifest) -> Facts:
    """The facts in weights.lock; empty if the lock is missing, malformed or made for other weights."""
    try:
        lock = json.loads(path_of(manifest.slug).with_name("weights.lock").read_text(encoding="utf-8"))
        is_current = lock["source"] == manifest.weights.source and lock.get("patterns", []) == manifest.weights.files
        return Facts.model_validate(lock.get("facts", {})) if is_current else Facts()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Facts()  # models/weights/lock.py reports what is wrong


def _kind_of(path: Path, content: Any) -> type[Manifest]:
    task = content.get("task") if isinstance(content, dict) else None
    if task is None:
        return Manifest
    if task not in tasks():
        raise ManifestError(f"{path}: task: there is no task {task!r}{strict.suggestion(str(task), tasks())}")
    kind: type[Manifest] = importlib.import_module(f"models.tasks.{task.replace('-', '_')}.manifest").Manifest
    return kind


def rendered_for(config: str) -> str:
    """The model that the first line of cog.yaml or cog.cpu.yaml names; empty if there is no such file."""
    path = PROJECT / config
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = re.match(r"# Rendered from models/catalog/([^/]+)/", text)
    return found[1] if found else ""
