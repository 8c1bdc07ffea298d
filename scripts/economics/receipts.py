"""The measurements of a model: receipts of the benchmark and of `make cost URL=...`, and the gate's staging runs."""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import TemplateError
from models.manifest import PROJECT, Manifest
from scripts.hardware import price_list
from scripts.release import ledger

SIZES = ("input_tokens", "output_tokens", "images", "audio_seconds")
LENGTHS = "lengths"
_SUBJECTS = ("container", "server")  # subjects of a benchmark; the one most like rented hardware comes first


class ReceiptError(TemplateError):
    """A receipt belongs to another model, or is not a receipt."""


@dataclass(frozen=True)
class Point:
    """Predictions that ran together: how many (`streams`), the sizes of each, and the seconds that each took."""

    sizes: Mapping[str, float]
    streams: int
    seconds: float


@dataclass(frozen=True)
class Measurement:
    """`hardware`: PROVIDER/HARDWARE of the price list, "" for a machine that is not in it.

    `start_seconds`: from the start of its container or process to the first output, None if it was not measured.
    """

    machine: str
    hardware: str
    device: Literal["cpu", "cuda"]
    cores: int
    points: list[Point]
    start_seconds: float | None
    source: str
    date: datetime.date


class Machine(BaseModel):
    name: str
    slug: str
    cores: int
    system: str = ""


class Row(BaseModel):
    """Predictions that ran at once: their sizes, and the seconds until the last one ended."""

    model_config = ConfigDict(extra="forbid")

    streams: int = Field(ge=1)
    seconds: float = Field(gt=0)
    input_tokens: float | None = Field(default=None, ge=0)
    output_tokens: float | None = Field(default=None, ge=0)
    images: float | None = Field(default=None, ge=0)
    audio_seconds: float | None = Field(default=None, ge=0)


class Lengths(BaseModel):
    """A receipt of `make cost URL=...`; `hardware` as in Measurement."""

    model: str
    date: datetime.date
    machine: Machine
    device: Literal["cpu", "cuda"]
    hardware: str = ""
    points: list[Row] = Field(min_length=1)


def folder_of(model: Manifest) -> Path:
    return PROJECT / "benchmarks" / model.slug


def measurements(model: Manifest) -> list[Measurement]:
    """All measurements of `model`: lengths, then benchmarks, then staging runs, each with the newest first.

    Raises:
        ReceiptError: a receipt is of another model, or is not a receipt; names the file.
    """
    folder = folder_of(model)
    lengths = [_lengths(path, model) for path in sorted((folder / LENGTHS).glob("*.json"))]
    benchmarks = [_benchmark(path, model) for path in sorted(folder.glob("*.json"))]
    starts = {one.machine: one.start_seconds for one in benchmarks}
    lengths = [replace(one, start_seconds=starts.get(one.machine)) for one in lengths]
    found = [_newest_first(lengths), _newest_first(benchmarks), _newest_first(_staging_runs(model))]
    return [one for kind in found for one in kind if one.points]


def _newest_first(found: list[Measurement]) -> list[Measurement]:
    return sorted(found, key=lambda one: one.date, reverse=True)


def _lengths(path: Path, model: Manifest) -> Measurement:
    try:
        receipt = Lengths.model_validate(_read(path, model))
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise ReceiptError(f"{path}: {key}: {problem['msg']}: measure again with make cost URL=...") from error
    if receipt.hardware:
        price_list.find(price_list.shipped(), receipt.hardware, f"{path}: hardware")
    points = []
    for row in receipt.points:
        sizes = {name: getattr(row, name) for name in SIZES if getattr(row, name) is not None}
        points.append(Point(sizes, row.streams, row.seconds))
    machine = receipt.machine
    source = f"{_shown(path)}, measured on {receipt.date} on {machine.name} ({machine.cores} cores)"
    return Measurement(
        machine.name, receipt.hardware, receipt.device, machine.cores, points, None, source, receipt.date
    )


def _benchmark(path: Path, model: Manifest) -> Measurement:
    """Two points for each number of streams if tokens were counted, until the first and the last one; else one."""
    receipt = _read(path, model)
    try:
        machine = Machine.model_validate(receipt["machine"])
        subject = next((name for name in _SUBJECTS if name in receipt["subjects"]), None)
        measured = receipt["subjects"][subject] if subject else {"streams": {}, "start_seconds": None}
        points = [point for count, row in measured["streams"].items() for point in _points_of_row(int(count), row)]
        date = datetime.date.fromisoformat(receipt["date"])
        device = receipt["settings"]["engine"]["device"]
    except (KeyError, TypeError, ValueError) as error:
        raise ReceiptError(f"{path}: {error}: not a receipt of make bench, which writes one") from error
    source = f"{_shown(path)}, measured on {date} on {machine.name} ({machine.cores} cores)"
    start = measured["start_seconds"] or None
    return Measurement(machine.name, "", device, machine.cores, points, start, source, date)


def _points_of_row(streams: int, row: Mapping[str, Any]) -> list[Point]:
    """Empty if the predictions had several lengths, because the receipt does not say how many had each."""
    if any(len(found) != 1 for found in row["sizes"].values()):
        return []
    sizes = {name: found[0] for name, found in row["sizes"].items()}
    if "output_tokens" not in sizes:
        return [Point(sizes, streams, streams / row["per_second"])]
    total = streams * sizes["output_tokens"] / row["per_second"]
    first = sizes | {"output_tokens": 1}
    return [Point(first, streams, row["first_ms_p50"] / 1000), Point(sizes, streams, total)]


def _staging_runs(model: Manifest) -> list[Measurement]:
    """The examples that the release gate ran on Replicate's own hardware, one after another."""
    found = []
    for entry in ledger.read(model.slug):
        seconds = entry.details.get("predict_seconds")
        if entry.step != "staging" or entry.result != "ok" or not seconds:
            continue
        sizes = entry.details.get("sizes") or [{}] * len(seconds)
        points = [Point(size, 1, one) for size, one in zip(sizes, seconds, strict=True)]
        sku, date = entry.details["hardware"], datetime.datetime.fromisoformat(entry.time).date()
        source = f"{_shown(ledger.path_of(model.slug))}, staging runs of {date} on Replicate's {sku}"
        device: Literal["cpu", "cuda"] = "cpu" if sku == "cpu" else "cuda"
        start = entry.details.get("cold_start_seconds")
        found.append(Measurement(sku, f"replicate/{sku}", device, 0, points, start, source, date))
    return found


def _read(path: Path, model: Manifest) -> dict[str, Any]:
    try:
        receipt = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReceiptError(f"{path} is not JSON ({error}): git checkout {path}, or measure again") from error
    found = receipt.get("model") if isinstance(receipt, dict) else None
    if found != model.title:
        raise ReceiptError(
            f"{path}: model: a benchmark of {found!r}, not of {model.title!r}: remove the file, then "
            f"make bench MODEL={model.slug}"
        )
    return dict(receipt)


def _shown(path: Path) -> str:
    return str(path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path)
