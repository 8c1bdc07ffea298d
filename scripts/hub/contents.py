"""The files of a model on the Hub: weights, card, licence, evaluation, benchmarks, examples, and its Space."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from models import manifest, runtimes, weights
from models.engine import EngineChoice
from models.errors import TemplateError
from models.manifest import Manifest
from models.publication import Access
from models.weights import files
from models.weights.lock import lock_of
from scripts.hub import card, usage
from scripts.hub.card import Pages
from scripts.release.release import Refused

_ENDINGS = {"python": ".py", "sh": ".sh", "javascript": ".mjs"}
_PUBLISHED = "transformers"
"""The runtime whose files are published beside their source: most users of the Hub load these."""


@dataclass(frozen=True)
class Item:
    """A file of the repository.

    `source`: its bytes, or the file that has them; `why`: it is published, in a few words; `locked`: its size in bytes
    by weights.lock, if it is listed there.
    """

    path: str
    source: bytes | Path
    why: str
    locked: int | None = None

    @property
    def is_here(self) -> bool:
        """Whether it can be sent."""
        return isinstance(self.source, bytes) or self.source.is_file()

    @property
    def size(self) -> int | None:
        """Bytes; None if the file is not made yet and its size is unknown."""
        if isinstance(self.source, bytes):
            return len(self.source)
        return self.source.stat().st_size if self.source.is_file() else self.locked

    def matches(self, remote: Any) -> bool:
        """Whether the Hub's file `remote`, a huggingface_hub.RepoFile, has the same bytes."""
        if not self.is_here or self.size != remote.size:
            return False
        if remote.lfs:
            source = self.source
            mine = files.sha256(source) if isinstance(source, Path) else hashlib.sha256(source).hexdigest()
            return bool(mine == remote.lfs.sha256)
        content = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
        return bool(remote.blob_id == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest())


def access_today(model: Manifest) -> Access:
    """Who may download the weights today (UTC), as the manifest's `release` says.

    Raises:
        Refused: it has no `release`.
    """
    if not model.release:
        raise Refused(f"{manifest.path_of(model.slug)}: set release to open, gated, api-only or staged")
    return model.release.access_on(datetime.now(timezone.utc).date())


def opens_later(model: Manifest) -> str:
    """The next stage of a staged release, in words; "" if there is none."""
    today: date = datetime.now(timezone.utc).date()
    coming = [stage for stage in (model.release.stages if model.release else []) if stage.day > today]
    return f"{coming[0].opens} from {coming[0].day}" if coming else ""


def of(model: Manifest, pages: Pages) -> list[Item]:
    """Every file that belongs in the model's repository today, by path. `pages`: where the card links to.

    Raises:
        TemplateError: facts for the card are missing, the licence forbids the publication, or two files have one path.
    """
    items = [*_texts(model, pages), *_measured(model), *_examples(model, pages)]
    if publishes_weights(model):
        items += _weights(model)
    paths = [item.path for item in items]
    if twice := sorted({path for path in paths if paths.count(path) > 1}):
        raise TemplateError(f"two files would be {twice[0]} in the repository of {model.slug}: rename one")
    return sorted(items, key=lambda item: item.path)


def published_choice(model: Manifest) -> EngineChoice | None:
    """The engine whose files are published beside the downloaded ones; None if the manifest has no such engine."""
    return next((choice for choice in model.engines if choice.engine == _PUBLISHED), None)


def _weights(model: Manifest) -> Iterator[Item]:
    choice = published_choice(model)
    part = runtimes.part_of(model, choice) if choice else weights.SOURCE
    is_made, lock = part != weights.SOURCE, lock_of(model)
    for name, file in lock.files.items():
        if lock.adapter and name in lock.parts[""].files:  # already merged; it is in the base model's repository
            continue
        why = f"source of the weights for {part}" if is_made else _why(name)
        yield Item(name, weights.folder(model.slug, weights.SOURCE) / name, why, file.size)
    if is_made:
        made = weights.folder(model.slug, part)
        paths = sorted(path for path in made.rglob("*") if path.is_file())
        names = [str(path.relative_to(made)) for path in paths if path.name != weights.RECORD] or ["model.safetensors"]
        yield from (Item(name, made / name, _why(name)) for name in names)


def _why(name: str) -> str:
    if name.endswith((".safetensors", ".gguf", ".bin", ".xml")):
        return "weights"
    return "tokenizer" if "token" in name or "template" in name or "vocab" in name else "configuration"


def publishes_weights(model: Manifest) -> bool:
    """Whether the model has weights, and its release allows publishing them today."""
    return bool(model.weights.source) and access_today(model) != "api-only"


def of_space(folder: Path) -> list[Item]:
    """Every file of a Space's folder, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [Item(str(path.relative_to(folder)), path, "demo") for path in paths]


def _texts(model: Manifest, pages: Pages) -> Iterator[Item]:
    """The card, and the texts that the licence requires."""
    for name, text in card.files(model, pages).items():
        yield Item(name, text.encode(), "card" if name == "README.md" else "licence")


def _measured(model: Manifest) -> Iterator[Item]:
    for folder, why in (("evals", "evaluation"), ("benchmarks", "benchmark")):
        measured = manifest.PROJECT / folder / model.slug
        for path in sorted(measured.rglob("*")):
            if path.is_file():
                within = path.relative_to(measured)
                is_result = within.parts[0] == ".eval_results"
                yield Item(str(within if is_result else Path(folder) / within), path, why)


def _examples(model: Manifest, pages: Pages) -> Iterator[Item]:
    """The card's code as files, and the manifest's examples: inputs, and expectations of the outputs."""
    for block in usage.blocks(model, pages.hub, pages.replicate):
        name = re.sub(r"[^a-z0-9]+", "-", block.title.lower()).strip("-")
        yield Item(f"examples/{name}{_ENDINGS[block.language]}", f"{block.code}\n".encode(), "usage example")
    examples = [example.model_dump(exclude_defaults=True) for example in model.examples]
    text = json.dumps(examples, indent=2, ensure_ascii=False) + "\n"
    yield Item("examples/examples.json", text.encode(), "inputs, and expectations of the outputs")
