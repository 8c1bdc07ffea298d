"""weights.lock pins every byte of a model's weights. A build, a setup and a push use only the files in it."""

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from models.errors import WeightsError
from models.facts import Facts
from models.manifest import CATALOG, Manifest
from models.origin import Origin
from models.weights import formats
from models.weights.files import File


class Pinned(BaseModel):
    """A source, pinned.

    `source` and `patterns`: as the manifest has them; `resolved`: the source with a commit in place of a moving name;
    `archive`: the tar that has the files, if there is one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    patterns: list[str] = []
    resolved: str
    archive: File | None = None

    @model_validator(mode="after")
    def _is_pinned(self) -> "Pinned":
        commit = re.escape(self.source.rpartition("@")[0]) + "@[0-9a-f]{40}"
        pinned = re.fullmatch(commit, self.resolved) if self.source.startswith("hf:") else self.resolved == self.source
        if not pinned:
            raise ValueError(f"resolved {self.resolved!r} is not {self.source} at one commit")
        return self


class Lock(Pinned):
    """models/catalog/<slug>/weights.lock.

    `adapter`: the adapter that is merged into the model; `facts`: facts of the model, read from its files; `files`: by
    path below the folder of the weights; those of the adapter are in a subfolder (formats.ADAPTER).
    """

    adapter: Pinned | None = None
    facts: Facts = Facts()
    files: dict[str, File] = Field(min_length=1)

    @field_validator("files")
    @classmethod
    def _can_be_loaded(cls, files: dict[str, File]) -> dict[str, File]:
        try:
            for name in files:
                formats.check_name(name, files)
        except WeightsError as error:
            raise ValueError(str(error)) from error
        return files

    @property
    def parts(self) -> "dict[str, Lock]":
        """One lock for each source of the files, by the subfolder that it fills: "" and formats.ADAPTER."""
        if not self.adapter:
            return {"": self}
        below = f"{formats.ADAPTER}/"
        own = {name: file for name, file in self.files.items() if not name.startswith(below)}
        others = {name.removeprefix(below): file for name, file in self.files.items() if name.startswith(below)}
        return {
            "": self.model_copy(update={"adapter": None, "files": own}),
            formats.ADAPTER: Lock(**self.adapter.model_dump(), files=others),
        }

    def with_adapter(self, adapter: "Lock") -> "Lock":
        """The lock of this model with an adapter that is merged into it."""
        files = {f"{formats.ADAPTER}/{name}": file for name, file in adapter.files.items()}
        facts = self.facts.model_copy(update={"adapter": adapter.facts.adapter})
        pinned = Pinned(**adapter.model_dump(include=set(Pinned.model_fields)))
        return self.model_copy(update={"adapter": pinned, "facts": facts, "files": self.files | files})

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def path_of(slug: str) -> Path:
    return CATALOG / slug / "weights.lock"


def lock_of(manifest: Manifest) -> Lock:
    """The model's weights.lock; a lock without files if the model has no weights.

    Raises:
        WeightsError: it is missing, malformed, or locks other files than the manifest names.
    """
    if not manifest.weights.source:
        return Lock.model_construct(source="", resolved="no weights", files={})
    path = path_of(manifest.slug)
    remedy = f"make weights-lock MODEL={manifest.slug}"
    try:
        lock = Lock.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing: {remedy}") from None
    except ValidationError as error:
        raise WeightsError(f"{path} is malformed: {_explained(error.errors()[0])}; mend it: {remedy}") from error
    except UnicodeDecodeError as error:
        raise WeightsError(f"{path} is malformed: it is not text; mend it: {remedy}") from error
    _check_origin(lock, manifest.weights, f"{path} locks", remedy)
    named = manifest.weights.adapter
    if lock.adapter and named:
        _check_origin(lock.adapter, named, f"{path} locks as adapter", remedy)
    elif lock.adapter or named:
        has, says = ("an", "none") if lock.adapter else ("no", "one")
        raise WeightsError(f"{path} locks {has} adapter, but the manifest names {says}: {remedy}")
    return lock


def _check_origin(locked: Pinned, named: Origin, where: str, remedy: str) -> None:
    if locked.source != named.source:
        raise WeightsError(f"{where} {locked.source}, but the manifest names {named.source}: {remedy}")
    if locked.patterns != named.files:
        raise WeightsError(f"{where} the files {locked.patterns}, the manifest names {named.files}: {remedy}")


def _explained(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    words = str(problem["msg"]).removeprefix("Value error, ")
    return f"{where}: {words}" if where else words


def write(manifest: Manifest, lock: Lock) -> Path:
    """Write the model's weights.lock atomically."""
    path = path_of(manifest.slug)
    new = path.with_name(".weights.lock")
    new.write_text(lock.model_dump_json(indent=2, exclude_defaults=True) + "\n", encoding="utf-8")
    return new.replace(path)
