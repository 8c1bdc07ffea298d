"""The model card: README.md of the model's repository on the Hub, from the manifest and from measurements.

https://huggingface.co/docs/hub/model-cards
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import ManifestError
from models.manifest import PROJECT, Manifest, path_of
from models.publication import Relation
from models.weights import adapter
from models.weights.lock import lock_of
from scripts.hub import card_licence, measured, usage
from scripts.licences import answers as licence_answers
from scripts.licences import files as licence_files

_TEMPLATE = Path(__file__).with_name("card.md.j2")
_REQUIRED = {
    "languages": "the languages that it understands, as codes, like [en, ja]",
    "intended_use": "what it is for",
    "misuse": "what it is not for",
    "limitations": "what it does badly, and its biases",
    "training_data": "what it was trained on, as far as is known",
    "citation": "how to cite it, as BibTeX",
    "release": "open, gated, api-only or staged",
}
_ORIGINS: dict[Relation, str] = {
    "copy": "An unchanged copy of",
    "finetune": "A fine-tune of",
    "adapter": "An adapter for",
    "merge": "A merge with",
    "quantized": "A quantised version of",
}


@dataclass(frozen=True)
class Other:
    """The other model of a pair, such as a free small model and a large one behind an API; `link`: its page."""

    model: Manifest
    link: str


@dataclass(frozen=True)
class Pages:
    """Where the model is published, as OWNER/NAME: its repository on the Hub, on Replicate, its demo Space.

    `charts`: the folder of the benchmarks' charts in the card's links, by default the folder in the Hub's repository.
    """

    hub: str
    replicate: str | None = None
    space: str | None = None
    other: Other | None = None
    charts: str = "benchmarks"


def pages_of(model: Manifest) -> Pages:
    """The pages in the manifest, for the card beside it; YOUR-NAME stands for an owner that it does not name."""
    release = model.release
    own = f"YOUR-NAME/{model.slug}"
    return Pages(
        (release and release.hub) or own,
        (release and release.replicate) or own,
        charts=f"../../../benchmarks/{model.slug}",
    )


def render(model: Manifest, pages: Pages) -> str:
    """The card as Markdown, with its metadata as front matter.

    Raises:
        ManifestError: facts are missing; a line for each, with its key.
        LicenceError: the licence forbids the planned publication.
    """
    from huggingface_hub import ModelCard
    from jinja2 import Environment, StrictUndefined

    _require_facts(model)
    licence_answers.require(model)
    template = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    body = template.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        model=model,
        pages=pages,
        base=model.base,
        origin=_ORIGINS[model.base.relation] if model.base else "",
        details=_details(model),
        blocks=usage.blocks(model, pages.hub, pages.replicate),
        evaluations=measured.evaluations(model),
        benchmarks=measured.benchmarks(model, pages.charts),
        comparison=measured.side_by_side(model, pages.other.model) if pages.other else [],
        licence=card_licence.plain_words(model),
        notices=card_licence.shown(model),
    )
    return str(ModelCard(f"---\n{metadata(model).to_yaml()}\n---\n\n{body}"))


def files(model: Manifest, pages: Pages) -> dict[str, str]:
    """The texts of the card and of the licence's files, by their names in the repository and beside the manifest."""
    return {"README.md": render(model, pages)} | licence_files.files(model)


def committed(model: Manifest) -> dict[str, str]:
    """The files for the manifest's pages, by path in the project; empty until `make card` has run once."""
    if not path_of(model.slug).with_name("README.md").is_file():
        return {}
    folder = path_of(model.slug).parent.relative_to(PROJECT)
    return {str(folder / name): text for name, text in files(model, pages_of(model)).items()}


def metadata(model: Manifest) -> Any:
    """The card's front matter, as huggingface_hub's ModelCardData."""
    from huggingface_hub import ModelCardData

    results = measured.results(model)
    is_other = model.license.id == "other"
    return ModelCardData(
        language=list(model.languages),
        license=model.license.id,
        license_name=model.license.name if is_other else None,
        license_link=model.license.link if is_other else None,
        library_name=usage.library_of(model),
        pipeline_tag=measured.pipeline_tag(model),
        tags=list(model.tags) or None,
        datasets=list(model.datasets) or None,
        base_model=model.base.model if model.base else None,
        metrics=sorted({result.metric_type for result in results if not result.source_url}) or None,
        model_name=model.title if results else None,
        eval_results=results or None,
        **(_relation(model) | _gate(model)),
    )


def _relation(model: Manifest) -> dict[str, Any]:
    """A plain copy has no relation: https://huggingface.co/docs/hub/model-cards#specifying-a-base-model"""
    return {"base_model_relation": model.base.relation} if model.base and model.base.is_changed else {}


def _gate(model: Manifest) -> dict[str, Any]:
    """https://huggingface.co/docs/hub/models-gated"""
    gate = model.release.gate if model.release else None
    if not gate:
        return {}
    return {"extra_gated_prompt": gate.terms} | ({"extra_gated_fields": dict(gate.questions)} if gate.questions else {})


def _require_facts(model: Manifest) -> None:
    missing = [
        f"{path_of(model.slug)}: set {key}: {what}" for key, what in _REQUIRED.items() if not getattr(model, key)
    ]
    if missing:
        raise ManifestError("\n".join(missing))


def _access(model: Manifest) -> str:
    """Who may download the weights, and from when."""
    words = {"open": "open", "gated": "behind terms", "api-only": "not published: over an API only"}
    release = model.release
    if not release or not model.weights.source:
        return ""
    stages = [f"{words[stage.opens]} from {stage.day.isoformat()}" for stage in release.stages]
    return ", ".join(stages) or words[release.accesses[0]]


def _details(model: Manifest) -> Sequence[tuple[str, str]]:
    """The table at the top of the card, from the manifest."""
    runs = [choice.described for choice in model.engines]
    context = getattr(model, "context_length", None)
    rows = [
        ("task", model.task),
        ("adapter", adapter.described(lock_of(model)) if model.weights.adapter else ""),
        ("weights", _access(model)),
        ("parameters", f"{model.parameters:,}" if model.parameters else ""),
        ("context", f"{context:,} tokens" if context else ""),
        ("languages", ", ".join(model.languages)),
        ("runs on", ", ".join(runs)),
        ("memory of a server", f"{model.hardware.memory_gb:g} GB"),
        ("licence", f"[{model.license.name or model.license.id}]({model.license.link})"),
    ]
    return [(name, value) for name, value in rows if value]
