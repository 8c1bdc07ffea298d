"""Reads a model's facts from a repository on the Hub, or a local folder or file, before downloading anything large."""

import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import TemplateError, WeightsError
from models.origin import Weights
from models.weights import formats
from models.weights.sources import hub

CONFIG = "config.json"


@dataclass(frozen=True)
class Repository:
    """`source`: for weights.source; `names`: its files; `config`: its config.json; `card`: its card's metadata.

    `page`: the link to its card, "" for local files.
    """

    source: str
    title: str
    names: list[str]
    config: dict[str, Any]
    card: dict[str, Any] = field(default_factory=dict)
    page: str = ""
    pipeline_tag: str = ""

    @property
    def architectures(self) -> list[str]:
        """The classes of transformers that config.json names, such as LlamaForCausalLM."""
        return [str(name) for name in self.config.get("architectures") or []]

    @property
    def ggufs(self) -> list[str]:
        return [name for name in self.names if name.endswith(".gguf")]


def look_up(source: str) -> Repository:
    """Look up a repository (hf://ORG/NAME, at main or @REVISION), or a local folder or file (file:PATH).

    Raises:
        TemplateError: it does not exist, may not be read, or the source has another form.
    """
    if source.startswith("hf://"):
        return _of_hub(source if "@" in source else f"{source}@main")
    if source.startswith("file:"):
        return _of_files(source)
    raise TemplateError(f"{source!r} is not a source to look up: hf://ORG/NAME, hf://ORG/NAME@REVISION or file:PATH")


def _of_hub(source: str) -> Repository:
    weights = Weights(source=source)
    info = hub.info(weights)
    names = [sibling.rfilename for sibling in info.siblings or []]
    with tempfile.TemporaryDirectory() as folder:
        path = hub.small_file(weights, str(info.sha), CONFIG, Path(folder)) if CONFIG in names else None
        config = _read(path) if path else {}
    card = info.card_data.to_dict() if info.card_data else {}
    name = str(info.id)
    return Repository(
        source=source,
        title=name.partition("/")[2],
        names=names,
        config=config,
        card=card,
        page=f"https://huggingface.co/{name}",
        pipeline_tag=info.pipeline_tag or "",
    )


def _of_files(source: str) -> Repository:
    path = Path(source.removeprefix("file:")).expanduser()
    if not path.exists():
        raise WeightsError(f"there is no {path}: correct SOURCE")
    if path.is_file():
        return Repository(source, path.stem, [path.name], {})
    names = sorted(str(one.relative_to(path)) for one in path.rglob("*") if one.is_file())
    names = [name for name in names if not formats.is_litter(name)]
    config = _read(path / CONFIG) if CONFIG in names else {}
    return Repository(source, path.name, names, config, _front_matter(path / "README.md"))


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{path.name} is not JSON ({error}): correct it at its source") from error
    return content if isinstance(content, dict) else {}


def _front_matter(path: Path) -> dict[str, Any]:
    """The metadata of a card beside the weights; empty if the card cannot be read."""
    from huggingface_hub import ModelCard

    if not path.is_file():
        return {}
    try:
        return dict(ModelCard.load(path, ignore_metadata_errors=True).data.to_dict())
    except (ValueError, OSError) as error:
        print(f"{path} is ignored, it cannot be read ({error})", file=sys.stderr)
        return {}
