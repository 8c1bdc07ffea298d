"""The folder of a Space: the app, the files to run the model in the Space or to call it elsewhere, and the README.

https://huggingface.co/docs/hub/spaces-config-reference
"""

import json
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from models import runtimes, weights
from models.engine import EngineChoice
from models.manifest import PROJECT, Manifest
from scripts.contract import schema
from scripts.dependencies.pins import IMAGE_PYTHON, IN_THE_IMAGE, pinned
from scripts.hub.space import facts
from scripts.hub.space.demo.facts import Facts

_DEMO = Path(__file__).parent / "demo"
_PYDANTIC = "2.12.5"
"""The newest version that gradio[mcp] accepts, which a Space installs."""
_APP = '''"""The demo of {title}: demo/ has the app, demo.json the facts of the model."""

from pathlib import Path

from demo import facts, page

folder = Path(__file__).parent
page.launch(facts.read(folder / "demo.json"), folder)
'''


def write(model: Manifest, what: str, to: Path) -> list[Path]:
    """Write the Space into the folder `to`, replacing its content; returns the sorted paths of its files within it.

    `what`: see Facts.

    Raises:
        TemplateError: the model's weights are not available, or `what` cannot be reached.
    """
    known = facts.of(model, what)
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(_DEMO, to / "demo", ignore=shutil.ignore_patterns("__pycache__"))
    texts = {
        "app.py": _APP.format(title=model.title),
        "demo.json": known.model_dump_json(indent=2) + "\n",
        "requirements.txt": requirements(model, known.what),
        "README.md": readme(model, known),
    }
    for name, text in texts.items():
        (to / name).write_text(text, encoding="utf-8")
    if what == "own":
        _add_model(model, to)
    return sorted(path.relative_to(to) for path in to.rglob("*") if path.is_file())


def requirements(model: Manifest, what: str) -> str:
    """The pinned packages: of the app, and if the model runs in the Space, of its engine and of Cog's server."""
    names = pinned("space", IN_THE_IMAGE)
    names |= {name: version for name, version in pinned("scripts", IN_THE_IMAGE).items() if name.startswith("httpx")}
    if what == "own":
        names |= pinned(model.engine_on("cpu").engine, IN_THE_IMAGE)
    names["pydantic"] = _PYDANTIC
    return "".join(f"{name}=={names[name]}\n" for name in sorted(names, key=str.lower))


def readme(model: Manifest, known: Facts) -> str:
    """The Space's configuration and a short description."""
    repository = _repository(model)
    settings = {
        "title": model.title,
        "emoji": "💬" if known.has_chat else "✨",
        "colorFrom": "indigo",
        "colorTo": "purple",
        "sdk": "gradio",
        "sdk_version": pinned("space", IN_THE_IMAGE)["gradio"],
        "python_version": IMAGE_PYTHON,
        "app_file": "app.py",
        "suggested_hardware": "cpu-basic",
        "license": model.license.id,
        **({"models": [repository]} if repository else {}),
        **({"tags": model.tags} if model.tags else {}),
    }
    front = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    links = "\n".join(f"- [{name}]({address})" for name, address in known.links.items())
    return f"---\n{front}---\n\n# {model.title}\n\n{model.summary}\n\n{_runs(known.what)}\n\n{links}\n"


def _runs(what: str) -> str:
    if what == "own":
        return (
            "The model itself runs here, on the CPU: `predict.py` and `models/` are those of its container, served by "
            "Cog's own server. The same runs on your machine: `pip install -r requirements.txt`, then `python app.py`."
        )
    if what.startswith("http"):
        return f"The model runs on the Cog server at {what}; this page calls its API."
    return f"The model runs on Replicate ({what}); the Space's secret `REPLICATE_API_TOKEN` pays for its predictions."


def _repository(model: Manifest) -> str:
    """The model's repository on the Hub: that of its card, or else of its base model."""
    parts = urlsplit(model.card or "")
    if parts.netloc == "huggingface.co" and parts.path.count("/") == 2:
        return parts.path.strip("/")
    return model.base.model if model.base else ""


def _add_model(model: Manifest, to: Path) -> None:
    """Add the code of the container, and weights that the server cannot fetch or make by itself."""
    ignored = shutil.ignore_patterns("__pycache__", "catalog")
    shutil.copytree(PROJECT / "models", to / "models", ignore=ignored)
    for slug in (model.slug, *model.uses):
        shutil.copytree(PROJECT / "models" / "catalog" / slug, to / "models" / "catalog" / slug)
    shutil.copy(PROJECT / "predict.py", to)
    (to / ".cog").mkdir()
    document = json.dumps(schema.generate(schema.served_class(model)), indent=2) + "\n"
    (to / ".cog" / "openapi_schema.json").write_text(document, encoding="utf-8")
    for one in model.parts:
        choice = one.engine_on("cpu")
        if not can_be_fetched(one, choice):
            from scripts.conversion import weights as here

            here.ensure(one, choice)
            part = runtimes.part_of(one, choice)
            shutil.copytree(weights.folder(one.slug, part), to / "weights" / one.slug / part)


def can_be_fetched(model: Manifest, choice: EngineChoice) -> bool:
    """Whether a server on another machine can fetch the engine's files by itself; it can only convert a GGUF."""
    source = model.weights.source
    if not source or source.startswith("file:"):
        return not source
    return model.weights.names_gguf or runtimes.part_of(model, choice) == weights.SOURCE
