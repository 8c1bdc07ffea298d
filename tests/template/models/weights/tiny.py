"""A model with one small file as its weights, and a conversion of it."""

import hashlib
import json
from pathlib import Path

from models import weights
from models.engine import EngineChoice
from models.weights.files import File
from tests.template.models.weights.project import gguf

SLUG = "tiny"
SOURCE = "pypi:tiny-weights==1.0#tiny_weights/model.gguf"
CONTENT = gguf(99_936)
CHOICE = EngineChoice(engine="openvino", device="cpu", dtype="float16")
CONVERTER = {"gguf": "1.0"}


def described(content: bytes) -> File:
    return File(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def convert(source: Path, folder: Path, dtype: str) -> None:
    """A conversion: makes two files from one."""
    (folder / "model.bin").write_bytes(source.read_bytes()[::-1])
    (folder / "dtype.txt").write_text(dtype)


def write_lock(project: Path, weight: bytes, source: str = SOURCE) -> Path:
    path = project / "catalog" / SLUG / "weights.lock"
    content = {"source": source, "resolved": source, "files": {"model.gguf": described(weight).model_dump()}}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def flip_a_bit(path: Path, share: float = 0.5) -> None:
    """Flip a bit of a file, at `share` of its length."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 1
    path.write_bytes(content)


def leftovers() -> list[str]:
    return [path.name for path in weights.folder(SLUG, "source").parent.iterdir()]
