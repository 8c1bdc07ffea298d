"""python -m scripts.render [--check]

Writes what follows from the selected model's manifest, from predict.py and from the benchmark's receipts: cog.yaml,
cog.cpu.yaml, .dockerignore, schemas/<class>.json, the numbers in README.md, and each model card of the catalog that
`make card` has made, with the files that its licence asks for. With --check it writes nothing and fails
where a file differs from what would be written.
"""

import difflib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from models import manifest, runtimes
from models.errors import TemplateError
from models.manifest import Device, EngineChoice, Manifest
from models.weights import PROJECT, places
from scripts import schema, tasks
from scripts.benchmark import report
from scripts.cli import command
from scripts.contract.openapi_frame import COG_VERSION
from scripts.hub import card

PYTHON_VERSION = "3.11"
BENCHMARKS = "benchmarks"
CONFIGS: dict[Device, str] = {"cuda": "cog.yaml", "cpu": "cog.cpu.yaml"}


def main(argv: list[str]) -> int:
    """Write or check; 0 when all agree."""
    return command.run(render, argv, "scripts.render")


def render(
    check: Annotated[bool, typer.Option("--check", help="write nothing; fail where a file differs")] = False,
) -> None:
    """Write what is rendered from the manifest and predict.py; say which descriptions Cog cannot read."""
    drifted = []
    model = manifest.selected()
    runtimes.check_delivery(model)
    for name, text in rendered(model).items():
        path = PROJECT / name
        present = path.read_text(encoding="utf-8") if path.is_file() else ""
        if present == text:
            continue
        if not check:
            _write(path, text)
            continue
        drifted.append(name)
        difference = difflib.unified_diff(present.splitlines(), text.splitlines(), name, "rendered", lineterm="", n=1)
        print("\n".join(list(difference)[:20]), file=sys.stderr)
    for remark in [remark for name in schema.class_names() for remark in schema.remarks(name)]:
        print(remark, file=sys.stderr)
    if drifted:
        raise TemplateError(f"{', '.join(drifted)}: not as rendered: make render, and commit the result")


def _write(path: Path, text: str) -> None:
    if text:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    else:
        path.unlink()
    print(f"{'wrote' if text else 'removed'} {path.relative_to(PROJECT)}", file=sys.stderr)


def rendered(model: Manifest) -> dict[str, str]:
    """Every rendered file, by its path from the project's folder; "" for one that this model has none of.

    Cog's own commands read cog.yaml, so there is one for a model without an engine for a GPU too.
    """
    files = {"cog.yaml": "", "cog.cpu.yaml": ""}
    files |= {CONFIGS[choice.device]: cog_config(model, choice) for choice in reversed(model.engines)}
    files["cog.yaml"] = files["cog.yaml"] or files["cog.cpu.yaml"]
    files[".dockerignore"] = docker_ignore(model)
    files["README.md"] = with_benchmark((PROJECT / "README.md").read_text(encoding="utf-8"), model)
    for name in schema.class_names():
        files[f"schemas/{name}.json"] = json.dumps(schema.generate(name), indent=2, sort_keys=True) + "\n"
    for slug in manifest.slugs():
        files |= card.committed(model if slug == model.slug else manifest.load(slug))
    return files


def cog_config(model: Manifest, choice: EngineChoice) -> str:
    """The configuration that `cog build` reads (https://cog.run/yaml): the packages of the engine; CUDA for a GPU."""
    variables = runtimes.ENVIRONMENT | {"MODEL": model.slug, "WEIGHTS_ROOT": places.CONTAINER}
    environment = "\n".join(f"  - {name}={value}" for name, value in variables.items())
    return f"""{_HEADER.format(slug=model.slug)}
build:
  gpu: {"true" if choice.device == "cuda" else "false"}
  python_version: "{PYTHON_VERSION}"
  python_requirements: requirements/{choice.engine}.txt
  sdk_version: "{COG_VERSION}"
  run: # sdk_version alone takes the newest coglet, the runtime itself
    - uv pip install --break-system-packages --no-cache coglet=={COG_VERSION}
predict: predict.py:{schema.served_class(model)}
environment:
{environment}
"""


def docker_ignore(model: Manifest) -> str:
    """Lets in what runs: predict.py, models/ with this model alone, and the weights that `make image` baked, if any."""
    baked = "!baked\n" if model.weights.delivery == "baked" else ""
    return f"""{_HEADER.format(slug=model.slug)}
*
!cog.yaml
!cog.cpu.yaml
!predict.py
!models
models/catalog/*
!models/catalog/{model.slug}
models/catalog/{model.slug}/README.md
{baked}**/__pycache__
**/.env
"""


def with_benchmark(readme: str, model: Manifest) -> str:
    """README.md with the tables of the model's receipts and a chart between its two markers."""
    folder = PROJECT / BENCHMARKS / model.slug
    receipts = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    before, start, rest = readme.partition("<!-- benchmark -->\n")
    _, end, after = rest.partition("<!-- end of benchmark -->")
    if not receipts or not end:
        return readme
    return f"{before}{start}{_benchmark(receipts, model)}\n{end}{after}"


def _benchmark(receipts: list[report.Receipt], model: Manifest) -> str:
    targets = tasks.fact(model, "TARGETS", report.TARGETS)
    return report.markdown(receipts, f"{BENCHMARKS}/{model.slug}", targets)


_HEADER = "# Rendered from models/catalog/{slug}/model.yaml by `make render`; edit that."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
