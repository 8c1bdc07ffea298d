"""The manifest of a new model, from its repository and the files of its weights."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from models import manifest
from models.engine import Device
from models.errors import ManifestError, TemplateError
from models.facts import Facts
from models.manifest import Manifest
from models.weights import formats
from scripts import tasks
from scripts.hardware import replicate
from scripts.licences import terms
from scripts.lookup.repository import Repository

CPU_PARAMETERS = 4_000_000_000
"""A larger model is served only on GPUs: a CPU would answer slower than people read."""
_HEADER = """\
# The single source for this model: cog.yaml, cog.cpu.yaml and .dockerignore are rendered from it (`make render`).
# Written by `make new` from {source}; docs/your-model.md says what to add for the model card.
"""
_SPARE_GB = 0.5


def task_of(found: Repository, wanted: str) -> str:
    """The task of the model; `wanted`: the task that the user named, or "".

    Raises:
        TemplateError: no task fits, or `wanted` does not.
    """
    if wanted and wanted not in manifest.tasks():
        raise TemplateError(f"there is no task {wanted!r}: TASK is one of {', '.join(manifest.tasks())}")
    fitting = [task for task in manifest.tasks() if tasks.named(task, "suits", _never)(found)]
    what = f"{found.title} ({', '.join(found.architectures) or 'no architecture in config.json'})"
    if not fitting:
        raise TemplateError(f"no task of this project fits {what}: docs/your-model.md says how to add one")
    if wanted and wanted not in fitting:
        raise TemplateError(f"{what} is not a model for {wanted}: TASK={' or TASK='.join(fitting)}")
    return wanted or fitting[0]


def check_loadable(found: Repository, files: Sequence[str]) -> None:
    """Refuse at once what is never loaded; `files`: as weights.files has them.

    Raises:
        TemplateError: there are pickles alone, or other files without weights.
    """
    is_one_gguf = found.names == found.ggufs[:1]
    formats.selected(found.names, files or (found.names if is_one_gguf else formats.DEFAULT_PATTERNS))


def files_of(found: Repository) -> list[str]:
    """The names for weights.files: one GGUF if there are no safetensors.

    Raises:
        TemplateError: there are several GGUFs.
    """
    if not found.ggufs or any(name.endswith(".safetensors") for name in found.names) or found.names == found.ggufs[:1]:
        return []
    if len(found.ggufs) > 1 and not _are_parts(found.ggufs):
        raise TemplateError(f"{found.source} has several GGUFs, say which: FILES=... of {_few(found.ggufs)}")
    return found.ggufs


def licence_of(found: Repository, wanted: str) -> dict[str, Any]:
    """The manifest's section on the licence; `wanted`: the id that the user named, or "".

    Raises:
        TemplateError: no licence is named.
    """
    card = found.card
    id = wanted or card.get("license") or ""
    if isinstance(id, list):
        id = id[0]
    if not id:
        raise TemplateError(
            f"{found.title} names no licence, and without one nobody may use it: ask its owner, and if you know it: "
            "LICENSE=apache-2.0, or another id of https://huggingface.co/docs/hub/repositories-licenses"
        )
    known = terms.known().get(id)
    link = card.get("license_link") or (known.link if known else found.page)
    keys = {"id": id if known else "other", "link": link if str(link).startswith("http") else found.page or "unknown"}
    if not known:
        keys["name"] = re.sub(r"[^a-z0-9.-]+", "-", str(card.get("license_name") or id).lower())
    return keys


def manifest_of(
    task: str, found: Repository, licence: Mapping[str, Any], files: Sequence[str], facts: Facts, size: int
) -> dict[str, Any]:
    """All keys except the examples' expectations; `size`: of the weights in bytes, 0 while unknown."""
    gigabytes = size / 1e9
    engines = [_engine(task, facts, device) for device in _devices(facts)]
    beside = max(engine.get("cache_gb", 0) for engine in engines)
    on_gpu = replicate.that_fit(gigabytes + beside)
    if size and not on_gpu and len(engines) == 1:
        raise ManifestError(f"{gigabytes:.0f} GB of weights fit no single GPU of Replicate: take a GGUF of it")
    count = f" of {_rounded(facts.parameters)} parameters" if facts.parameters else ""
    sku = "cpu" if (gigabytes < 1 and not beside) or not on_gpu else on_gpu[0]
    keys: dict[str, Any] = {
        "task": task,
        "title": found.title,
        "summary": f"A model for {task.replace('-', ' ')}{count}.",
        "license": dict(licence),
        "weights": {"source": found.source} | ({"files": list(files)} if files else {}),
        "engines": engines,
        "hardware": {"replicate": sku, "memory_gb": round(gigabytes + min(beside, 2) + _SPARE_GB, 1)},
        "examples": [
            {"name": name, "input": dict(inputs), "expect": {}} for name, inputs in tasks.named(task, "STARTERS", [])
        ],
    }
    return keys | _for_the_card(found, licence)


def text_of(keys: Mapping[str, Any]) -> str:
    """The text of the manifest's file."""
    body = yaml.safe_dump(dict(keys), sort_keys=False, allow_unicode=True, width=110)
    return _HEADER.format(source=keys["weights"]["source"]) + body


def expectations(model: Manifest, outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The expectations of the examples, in the task's form; `outputs`: finished predictions."""
    expected = tasks.attribute(model, "expectation", None)
    return [expected(one["output"], one.get("metrics") or {}) for one in outputs]


def _devices(facts: Facts) -> list[Device]:
    return ["cuda"] if (facts.parameters or 0) > CPU_PARAMETERS else ["cuda", "cpu"]


def _engine(task: str, facts: Facts, device: Device) -> dict[str, Any]:
    name = "transformers" if device == "cuda" else "openvino"
    own: dict[str, Any] = tasks.named(task, "engine_keys", _nothing)(facts, device)
    return {"engine": name, "device": device, **own}


def _for_the_card(found: Repository, licence: Mapping[str, Any]) -> dict[str, Any]:
    """Keys for the new model's card, from the repository's own card."""
    card = found.card
    keys: dict[str, Any] = {}
    if found.page:
        keys["card"] = found.page
        base = found.page.removeprefix("https://huggingface.co/")
        keys["base"] = {"model": base, "relation": "copy", "license": dict(licence)}
    for key, ours in (("language", "languages"), ("tags", "tags"), ("datasets", "datasets")):
        if value := card.get(key):
            keys[ours] = [value] if isinstance(value, str) else [str(one) for one in value]
    return keys


def _are_parts(names: Sequence[str]) -> bool:
    return all(re.search(r"-\d{5}-of-\d{5}\.gguf$", name) for name in names)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (" ..." if len(names) > 6 else "")


def _rounded(count: int | None) -> str:
    number = float(count or 0)
    for unit, least in (("billion", 1e9), ("million", 1e6), ("thousand", 1e3)):
        if number >= least:
            return f"{number / least:.3g} {unit}"
    return f"{number:.0f}"


def _never(found: Repository) -> bool:
    return False


def _nothing(facts: Facts, device: Device) -> dict[str, Any]:
    return {}
