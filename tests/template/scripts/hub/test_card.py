"""The model card: facts from the manifest, missing ones named by key, figures from files, and nothing else."""

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, constants

from models import manifest
from models.errors import ManifestError
from scripts import card as command
from scripts.hub import card, card_page, measured
from scripts.licences.terms import LicenceError
from tests.services.hub import Hub

DEFAULT = manifest.load("smollm2-135m-instruct")
GATED = {"tier": "gated", "gate": {"terms": "Be kind.", "questions": {"Company": "text"}}}
Change = Callable[..., manifest.Manifest]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Change:
    """Makes the manifest of a model called tiny: the default one, with some keys changed."""
    content = yaml.safe_load(manifest.path_of(DEFAULT.slug).read_text(encoding="utf-8"))
    monkeypatch.setattr(manifest, "CATALOG", tmp_path / "models" / "catalog")
    for module in (manifest, measured, card):
        monkeypatch.setattr(module, "PROJECT", tmp_path)
    monkeypatch.setenv("MODEL", "tiny")

    def changed(slug: str = "tiny", **keys: Any) -> manifest.Manifest:
        manifest.path_of(slug).parent.mkdir(parents=True, exist_ok=True)
        manifest.path_of(slug).write_text(yaml.safe_dump(content | keys), encoding="utf-8")
        return manifest.load(slug)

    return changed


def text_of(model: manifest.Manifest, **pages: Any) -> str:
    return card.render(model, card.Pages(**({"hub": "acme/tiny"} | pages)))


def evaluated(folder: Path, slug: str, value: float) -> None:
    """An evaluation's receipt, as scripts/eval.py writes it."""
    figure = {"name": "exact_match", "title": "Exact match", "hub": "exact_match", "lines": 8, "more_is_better": True}
    figure |= {"value": value, "low": 0.25, "high": None, "written": f"{value:.1%}"}
    receipt = {
        "date": "2026-11-27",
        "command": f"make eval MODEL={slug}",
        "made_by": {"engine": "openvino", "device": "cpu", "dtype": "int8"},
        "data": {"path": "examples/evaluation/letters.jsonl", "sha256": "ab" * 32, "lines": 8},
        "confidence": 0.95,
        "metrics": [figure],
        "groups": {"vowels": [figure | {"low": 0.5, "high": 1.0, "lines": 5}]},
    }
    (folder / "evals" / slug).mkdir(parents=True)
    (folder / "evals" / slug / "letters.json").write_text(json.dumps(receipt))


def test_the_hub_accepts_the_default_models_card(monkeypatch: pytest.MonkeyPatch) -> None:
    read = ModelCard.load(manifest.path_of(DEFAULT.slug).with_name("README.md"))
    with Hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
        read.validate()
    data = read.data
    assert (data.license, data.pipeline_tag, data.library_name) == ("apache-2.0", "text-generation", "transformers")
    assert (data.base_model, data.base_model_relation) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "quantized")
    assert (data.language, data.datasets) == (["en"], ["HuggingFaceTB/smol-smoltalk"])


def test_no_section_is_empty_with_or_without_measurements(model: Change) -> None:
    for text in (text_of(model()), text_of(model(evaluations=[]), replicate="acme/tiny", space="acme/demo")):
        headings = list(re.finditer(r"^(#+) .+$", text, re.MULTILINE))
        ends = [*[heading.start() for heading in headings[1:]], len(text)]
        for heading, end, following in zip(headings, ends, [*headings[1:], None], strict=True):
            is_deeper = following is not None and len(following[1]) > len(heading[1])
            assert text[heading.end() : end].strip() or is_deeper, heading[0]
        assert "\n\n\n" not in text
        assert "None" not in text


def test_each_missing_fact_is_named_by_its_key(model: Change) -> None:
    with pytest.raises(ManifestError) as caught:
        text_of(model(misuse=None, languages=[], citation=None))
    assert [line.split("model.yaml: ")[1].split(":")[0] for line in str(caught.value).splitlines()] == [
        "set languages",
        "set misuse",
        "set citation",
    ]


def test_a_release_that_the_licence_forbids_gets_no_card(model: Change) -> None:
    licence = {"id": "cc-by-nc-4.0", "link": "https://example.com"}
    base = {"model": "acme/base", "relation": "finetune", "license": licence, "changes": "Tuned."}
    with pytest.raises(LicenceError, match="forbids a paid API"):
        text_of(model(license=licence, base=base, release={"tier": "open", "paid_api": True}))


def test_measured_results_are_in_the_text_and_in_the_model_index(model: Change, tmp_path: Path) -> None:
    evaluated(tmp_path, "tiny", 0.75)
    text = text_of(model())
    assert "Measured on 2026-11-27 by `make eval MODEL=tiny`: 8 lines" in text
    assert "| all | Exact match | 8 | 75.0% |  |" in text
    assert "| vowels | Exact match | 5 | 75.0% | 50.0% to 100.0% |" in text
    (result,) = ModelCard(text).data.eval_results
    assert (result.metric_type, result.metric_value, result.source_url) == ("exact_match", 0.75, None)
    assert ModelCard(text).data.metrics == ["exact_match"]


def test_quoted_results_name_their_source_and_the_measured_model(model: Change) -> None:
    quote = {
        "source": "https://example.com/card",
        "results": [{"dataset": "GSM8K", "metric": "accuracy", "value": 1.5}],
    }
    text = text_of(model(evaluations=[quote]))
    (result,) = ModelCard(text).data.eval_results
    assert (result.dataset_name, result.metric_value, result.source_url) == ("GSM8K", 1.5, "https://example.com/card")
    assert "Quoted, not measured here: [example.com/card](https://example.com/card)" in text
    text = text_of(model(evaluations=[quote | {"of": "the large one"}]))
    assert ModelCard(text).data.eval_results is None
    assert "Quoted of the large one, not measured here" in text


def test_gated_weights_have_their_questions_in_the_card(model: Change) -> None:
    data = ModelCard(text_of(model(release=GATED))).data.to_dict()
    assert (data["extra_gated_prompt"], data["extra_gated_fields"]) == ("Be kind.", {"Company": "text"})


@pytest.mark.parametrize(
    ("release", "shown"),
    [
        ("open", "| weights | open |"),
        ("api-only", "| weights | not published: over an API only |"),
        (
            GATED | {"tier": "staged", "stages": [{"day": date(2027, 1, 2), "opens": "gated"}]},
            "| weights | behind terms from 2027-01-02 |",
        ),
    ],
)
def test_the_card_says_who_may_download_the_weights(model: Change, release: Any, shown: str) -> None:
    text = text_of(model(release=release))
    assert shown in text
    assert ("from transformers import" in text) == (release != "api-only")


def test_two_models_link_to_each_other_with_their_measurements(model: Change, tmp_path: Path) -> None:
    small = model(parameters=135_000_000)
    large = model("large", title="Large", release="api-only", parameters=2_000_000_000)
    for slug, value in (("tiny", 0.5), ("large", 0.75)):
        evaluated(tmp_path, slug, value)
    text = text_of(small, other=card.Other(large, "https://replicate.com/acme/large"))
    assert "[Large](https://replicate.com/acme/large)" in text
    assert "| parameters | 135,000,000 | 2,000,000,000 |" in text
    assert re.search(r"\| Exact match, examples/evaluation/letters.jsonl \(abababab\) \| 50.0%.* \| 75.0%.* \|", text)


def test_a_use_policy_and_required_notices_are_at_the_top(model: Change) -> None:
    licence = {"id": "llama3.1", "link": "https://www.llama.com/llama3_1/license/"}
    base = {"model": "meta-llama/Llama-3.1-8B", "relation": "quantized", "license": licence}
    text = text_of(model(title="Llama Tiny", license=licence, base=base), hub="acme/llama-tiny")
    above, _, below = text.partition("## Model details")
    assert "**Built with Llama**" in above
    assert "[the use policy](USE_POLICY.md)" in above
    assert "A quantised version of [meta-llama/Llama-3.1-8B]" in above
    assert "- Put what you made from them under another licence: no (section 1.b.i)." in below


def test_a_custom_licence_has_a_name_and_a_link(model: Change) -> None:
    other = {"id": "other", "name": "acme-1.0", "link": "https://example.com/acme", "copyright": "Copyright (c) Acme"}
    tiny = model(license=other, base=None)
    rights = {
        act: {"allowed": True, "clause": "1"} for act in ("share", "gate", "serve", "sell", "change", "relicense")
    }
    terms = {"name": "Acme License", "link": "https://example.com/acme", "rights": rights}
    manifest.path_of("tiny").with_name("acme-1.0.yaml").write_text(yaml.safe_dump(terms))
    data = ModelCard(text_of(tiny)).data
    assert (data.license, data.license_name, data.license_link) == ("other", "acme-1.0", "https://example.com/acme")


def test_the_command_writes_the_card_the_licence_files_and_a_page(
    model: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "PROJECT", tmp_path)
    model(evaluations=[])
    assert card.committed(manifest.load("tiny")) == {}
    assert command.main([]) == 0
    errors = capsys.readouterr().err
    assert "the card has no evaluation: make eval measures it, or quote results under evaluations in" in errors
    assert "the card has no section on speed: make bench measures it" in errors
    folder = manifest.path_of("tiny").parent
    assert sorted(path.name for path in folder.iterdir()) == ["LICENSE", "NOTICE", "README.md", "model.yaml"]
    assert "<h1>SmolLM2 135M Instruct</h1>" in (tmp_path / "reports" / "tiny" / "card.html").read_text()
    written = card.committed(manifest.load("tiny"))
    assert {tmp_path / name for name in written} == {folder / name for name in ("LICENSE", "NOTICE", "README.md")}
    assert all((tmp_path / name).read_text() == text for name, text in written.items())


def test_the_page_opens_offline_and_runs_nothing_of_the_card(tmp_path: Path) -> None:
    (tmp_path / "chart.png").write_bytes(b"PNG")
    shown = card_page.page(
        "---\nlicense: mit\n---\n# A & B\n\n<script>x</script>\n\n![c](charts/chart.png)\n", tmp_path
    )
    assert "<title>A &amp; B</title>" in shown
    assert "<script>" not in shown
    assert 'src="data:image/png;base64,UE5H"' in shown
    assert "<span>mit</span>" in shown


def test_every_picture_and_link_of_the_committed_cards_exists() -> None:
    """The card is beside the manifest, where GitHub shows it; on the Hub the charts are in benchmarks/."""
    for slug in manifest.slugs():
        path = manifest.path_of(slug).with_name("README.md")
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for target in re.findall(r"\]\((?!https://)([^)]+)\)", text):
            assert (path.parent / target).is_file(), f"{path}: {target}"
    assert "](benchmarks/intel" in card.render(DEFAULT, card.Pages("acme/tiny"))
