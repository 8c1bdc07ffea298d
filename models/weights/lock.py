"""weights.lock: what the weights of a model are, to the byte. A build, a setup and a push use only what it says."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from models.errors import WeightsError
from models.manifest import CATALOG, Manifest
from models.weights.files import File


class Lock(BaseModel):
    """models/catalog/<slug>/weights.lock.

    `source` and `patterns`: as the manifest has them; `resolved`: the source with a commit in place of a moving name;
    `archive`: the tar that holds the files, where one does; `files`: by path below the folder of the weights.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    patterns: list[str] = []
    resolved: str
    archive: File | None = None
    files: dict[str, File]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def path_of(slug: str) -> Path:
    """The lock of the model `slug`."""
    return CATALOG / slug / "weights.lock"


def lock_of(manifest: Manifest) -> Lock:
    """The model's weights.lock.

    Raises:
        WeightsError: it is missing, malformed, or locks something else than the manifest names.
    """
    path = path_of(manifest.slug)
    remedy = f"make weights-lock MODEL={manifest.slug}"
    try:
        lock = Lock.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing: {remedy}") from None
    except ValueError as error:
        raise WeightsError(f"{path} is malformed: {remedy}") from error
    if lock.source != manifest.weights.source:
        raise WeightsError(f"{path} locks {lock.source}, but the manifest names {manifest.weights.source}: {remedy}")
    if lock.patterns != manifest.weights.files:
        raise WeightsError(
            f"{path} locks the files {lock.patterns}, the manifest names {manifest.weights.files}: {remedy}"
        )
    return lock


def write(manifest: Manifest, lock: Lock) -> Path:
    """Write the model's weights.lock, whole or not at all."""
    path = path_of(manifest.slug)
    new = path.with_name(".weights.lock")
    new.write_text(lock.model_dump_json(indent=2, exclude_defaults=True) + "\n", encoding="utf-8")
    return new.replace(path)
