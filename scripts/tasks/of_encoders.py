"""What the tools need to know of every task of an encoder: how it is converted, loaded, measured and used."""

import itertools
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from models import encoders
from models.encoders import checkpoint
from models.engine import EngineChoice
from models.manifest import PROJECT, Manifest
from models.weights.lock import Lock
from scripts.benchmark.load import Load
from scripts.benchmark.report import Target, memory, ratio

CONVERTED_AS = "encoder"
"""How its safetensors are converted to OpenVINO's files: one of scripts/conversion/to_openvino.py's KINDS."""
TARGETS = [
    Target("16 streams against 1", 4, "times", True, ratio("server", "server", 16, 1)),
    Target("container against the server, 16 streams", 0.97, "times", True, ratio("container", "server", 16)),
    Target("peak resident memory of the server, 16 streams", 1, "GB", False, memory),
]
EACH = 40
_WORDS = 12
_KINDS = list(itertools.product((1, 32), (8, 80)))  # texts of a call, words of a text


def check_weights(model: Manifest, lock: Lock) -> None:
    """Refuse weights that no engine can run, before they are downloaded.

    Raises:
        EngineError: the model needs code of its repository.
    """
    checkpoint.check(model, lock.facts)


def load_engine(model: Manifest, choice: EngineChoice, folder: Path) -> encoders.Encoder:
    """The engine without a server, with the weights in `folder`."""
    return encoders.load(choice, folder)


def load(sizes: Mapping[str, str], more: dict[str, Any]) -> Load:
    """One sentence for each call, with `more` inputs."""
    inputs = [{"text": text} | more for text in itertools.islice(_texts(_WORDS), 200)]
    return Load(inputs, False, each=EACH, sizes=sizes, unit="texts", counted="texts")


def sweep(more: dict[str, Any]) -> list[Iterator[dict[str, Any]]]:
    """Endless inputs for each number of texts and of words in them, with `more` inputs."""

    def of_size(count: int, words: int) -> Iterator[dict[str, Any]]:
        endless = _texts(words)
        while True:
            yield {"texts": list(itertools.islice(endless, count))} | more

    return [of_size(count, words) for count, words in _KINDS]


def varied(choices: random.Random) -> dict[str, Any]:
    """One or several texts, short and long."""
    endless = _texts(choices.choice([3, 20, 300]))
    return {"texts": list(itertools.islice(endless, choices.choice([1, 4, 40])))}


def _texts(words: int) -> Iterator[str]:
    """Endless texts with `words` words each, from a book."""
    book = itertools.cycle((PROJECT / "benchmarks" / "alice.txt").read_text(encoding="utf-8").split())
    while True:
        yield " ".join(itertools.islice(book, words))
