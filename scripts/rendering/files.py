"""Renders every file that follows from the manifest, predict.py and the measurements."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from models import manifest
from models.engine import EngineChoice
from models.manifest import PROJECT, Manifest
from models.weights import places
from scripts import tasks
from scripts.benchmark import gpu_report, report
from scripts.cli.device import CONFIGS
from scripts.contract import schema
from scripts.contract.openapi_frame import COG_VERSION
from scripts.dependencies.pins import IMAGE_PYTHON
from scripts.hub import card, measured
from scripts.rendering import packages, verbs


def rendered(model: Manifest) -> dict[str, str]:
    """The text of every rendered file, by path in the project; "" for a file that this model does not have.

    Cog's own commands read cog.yaml, so a model without a GPU engine has one too.
    """
    files = {"cog.yaml": "", "cog.cpu.yaml": ""}
    files |= {CONFIGS[choice.device]: cog_config(model, choice) for choice in reversed(model.engines)}
    files["cog.yaml"] = files["cog.yaml"] or files["cog.cpu.yaml"]
    files[".dockerignore"] = docker_ignore(model)
    files |= pages(model)
    for name in schema.class_names():
        files[f"schemas/{name}.json"] = json.dumps(schema.generate(name), indent=2, sort_keys=True) + "\n"
    for slug in manifest.slugs():
        files |= card.committed(model if slug == model.slug else manifest.load(slug))
    return files


def out_of_date(model: Manifest) -> dict[str, str]:
    """Those of `rendered` that differ from the project's files."""
    files = {name: (PROJECT / name, text) for name, text in rendered(model).items()}
    return {name: text for name, (path, text) in files.items() if _present(path) != text}


def write(files: dict[str, str]) -> None:
    """Write rendered files, and remove empty ones; prints their names on standard error."""
    for name, text in files.items():
        path = PROJECT / name
        if text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        else:
            path.unlink()
        print(f"{'wrote' if text else 'removed'} {name}", file=sys.stderr)


def _present(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def pages(model: Manifest) -> dict[str, str]:
    """README.md and the pages of docs/ with rendered sections, if the fork has kept them."""
    charts = f"{measured.BENCHMARKS}/{model.slug}"
    makers: dict[str, Callable[[str], str]] = {
        "README.md": lambda page: _with_section(
            _with_gpu(with_benchmark(page, model, charts, only_fastest=True), gpu_report.sentence),
            "verbs",
            verbs.table(),
        ),
        "docs/performance.md": lambda page: _with_gpu(with_benchmark(page, model, f"../{charts}"), gpu_report.markdown),
        "docs/architecture.md": lambda page: _with_section(page, "packages", packages.picture()),
    }
    kept = {name: make for name, make in makers.items() if (PROJECT / name).is_file()}
    return {name: make((PROJECT / name).read_text(encoding="utf-8")) for name, make in kept.items()}


def cog_config(model: Manifest, choice: EngineChoice) -> str:
    """The configuration for `cog build` (https://cog.run/yaml): the engine's packages, and CUDA for a GPU.

    Its first line names the model. A variable that did would come before the packages in Cog's Dockerfile, and each
    model's image would install them again, in a layer of its own.
    """
    variables = model.environment | {"WEIGHTS_ROOT": places.CONTAINER}
    environment = "\n".join(f"  - {name}={value}" for name, value in variables.items())
    compiler = _COMPILER if (choice.engine, choice.device) == ("transformers", "cuda") else ""
    return f"""{_HEADER.format(slug=model.slug)}
build:
  gpu: {"true" if choice.device == "cuda" else "false"}
  python_version: "{IMAGE_PYTHON}"{compiler}
  python_requirements: requirements/{choice.engine}.txt
  sdk_version: "{COG_VERSION}"
  run: # sdk_version alone takes the newest coglet, the runtime itself
    - uv pip install --break-system-packages --no-cache coglet=={COG_VERSION}
predict: predict.py:{schema.served_class(model)}
environment:
{environment}
"""


def docker_ignore(model: Manifest) -> str:
    """Allow only what runs: predict.py, models/ with this model and those that it uses, and the weights in baked/."""
    baked = "!baked\n" if any(one.weights.delivery == "baked" for one in model.parts) else ""
    slugs = [model.slug, *model.uses]
    catalog = "".join(f"!models/catalog/{slug}\nmodels/catalog/{slug}/README.md\n" for slug in slugs)
    return f"""{_HEADER.format(slug=model.slug)}
*
!cog.yaml
!cog.cpu.yaml
!predict.py
!models
models/catalog/*
{catalog}{baked}**/__pycache__
**/.env
"""


def with_benchmark(page: str, model: Manifest, charts: str, only_fastest: bool = False) -> str:
    """A page with the tables of the model's receipts; `charts`: the path from the page to its pictures."""
    receipts = measured.receipts(model, measured.BENCHMARKS)
    if not receipts:
        return page
    shown = report.by_speed(receipts)[: 1 if only_fastest else None]
    targets = tasks.attribute(model, "TARGETS", report.TARGETS)
    return _with_section(page, "benchmark", report.markdown(shown, charts, targets))


def _with_gpu(page: str, describe: Callable[[gpu_report.Receipt], str]) -> str:
    """A page with what gpu_table measured on each GPU."""
    paths = sorted((PROJECT / measured.BENCHMARKS / "gpu").glob("*.json"))
    receipts = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return _with_section(page, "gpu", "\n\n".join(describe(receipt) for receipt in receipts)) if receipts else page


def _with_section(page: str, name: str, content: str) -> str:
    """The page with `content` between <!-- NAME --> and <!-- end of NAME -->; without the two, it is unchanged."""
    before, start, rest = page.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    return f"{before}{start}{content}\n{end}{after}" if end else page


_COMPILER = """
  system_packages: # Triton compiles with them what starts its kernels
    - gcc
    - libc6-dev"""
_HEADER = "# Rendered from models/catalog/{slug}/model.yaml by `make render`; edit that."
