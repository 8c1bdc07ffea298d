"""Valid manifests, and the errors for wrong ones."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from models import manifest
from models.errors import ManifestError
from models.tasks.text_generation.manifest import Expectation, Manifest

DEFAULT = manifest.selected().slug
REAL = manifest.path_of(DEFAULT).read_text(encoding="utf-8")


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Any], Path]:
    """Writes a manifest into a catalog of this test: a text unchanged, or the real manifest changed by a function."""
    monkeypatch.setattr(manifest, "CATALOG", tmp_path)
    monkeypatch.delenv("MODEL", raising=False)

    def write(slug: str, change: Any) -> Path:
        path = manifest.path_of(slug)
        path.parent.mkdir()
        if callable(change):
            content = yaml.safe_load(REAL)
            change(content)
            change = yaml.safe_dump(content)
        path.write_text(change, encoding="utf-8")
        return path

    return write


def test_every_manifest_of_the_catalog_loads() -> None:
    assert DEFAULT in manifest.slugs()
    for slug in manifest.slugs():
        assert manifest.load(slug).slug == slug


def test_the_task_gives_the_class_and_the_device_the_engine() -> None:
    model = manifest.load(DEFAULT)
    assert model.predictor_class == "TextGeneration"
    assert (model.engine_on("cpu").engine, model.engine_on("cuda").engine) == ("openvino", "transformers")


@pytest.mark.parametrize(
    ("change", "where", "nearest"),
    [
        (lambda content: content.update(titel="x"), "titel", "title"),
        (lambda content: content["license"].update(url="x", lnk="y"), "license.lnk", "link"),
        (lambda content: content.update(context_lenght=5), "context_lenght", "context_length"),
        (lambda content: content["engines"][1].update(dtyp="x"), "engines.1.dtyp", "dtype"),
        (lambda content: content["engines"][1].update(cache=1), "engines.1.cache", "cache_gb"),
        (lambda content: content["examples"][0]["expect"].update(contain=[]), "examples.0.expect.contain", "contains"),
    ],
)
def test_an_unknown_key_names_the_file_the_key_and_the_nearest_known_key(
    catalog: Callable[[str, Any], Path], change: Any, where: str, nearest: str
) -> None:
    path = catalog("a", change)
    with pytest.raises(ManifestError, match=re.escape(f"{path}: unknown key {where} (did you mean {nearest}?)")):
        manifest.load("a")


def test_an_unknown_key_without_a_near_one_lists_the_known_keys(catalog: Callable[[str, Any], Path]) -> None:
    catalog("a", lambda content: content["hardware"].update(zzz=1))
    with pytest.raises(ManifestError, match=r"unknown key hardware\.zzz \(known: replicate, memory_gb\)"):
        manifest.load("a")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda content: content.update(task="poetry"), r"task: there is no task 'poetry' \(known: .*text-generation"),
        (lambda content: content.update(task="text-generatoin"), r"task: .*\(did you mean text-generation\?\)"),
        (lambda content: content.pop("task"), "task: Field required"),
        (lambda content: content.update(context_length=0), "context_length: .*greater than 0"),
        (lambda content: content["engines"][0].update(device="tpu"), r"engines\.0\.device: .*cpu"),
        (lambda content: content["weights"].update(source="ftp://example.com/x"), r"weights\.source: .*must be hf://"),
        (lambda content: content["weights"].update(source="hf://org/name"), r"weights\.source: .*@REVISION"),
        (
            lambda content: content["weights"].update(source="file:x", delivery="fetched"),
            r"weights: .*cannot fetch file:",
        ),
        (lambda content: content.pop("summary"), "summary: Field required"),
        (lambda content: content.update(examples=content["examples"][:2]), "examples: .*at least 3"),
        (lambda content: content.update(license="mit"), "license: .*License"),
        ("- a list", "the file: .*dictionary"),
        ("", "the file: .*dictionary"),
    ],
)
def test_a_wrong_value_names_the_file_and_the_key(catalog: Callable[[str, Any], Path], change: Any, where: str) -> None:
    path = catalog("a", change)
    with pytest.raises(ManifestError, match=f"^{re.escape(str(path))}: {where}"):
        manifest.load("a")


def test_every_mistake_is_reported_on_its_own_line(catalog: Callable[[str, Any], Path]) -> None:
    catalog("a", lambda content: content.update(titel="x", parameters=-1))
    with pytest.raises(ManifestError) as caught:
        manifest.load("a")
    assert sorted(line.split(": ")[1].split(" (")[0] for line in str(caught.value).splitlines()) == [
        "parameters",
        "unknown key titel",
    ]


def test_a_file_that_is_not_yaml_names_the_file_and_the_line(catalog: Callable[[str, Any], Path]) -> None:
    path = catalog("a", "title: x\ntask: [text-generation\n")
    with pytest.raises(ManifestError, match=rf"^{re.escape(str(path))} is not YAML: .*line 3") as caught:
        manifest.load("a")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_utf8_text_names_the_file(catalog: Callable[[str, Any], Path]) -> None:
    path = catalog("a", "")
    path.write_bytes(b"title: caf\xe9\n")
    with pytest.raises(ManifestError, match=f"^{re.escape(str(path))} is not YAML"):
        manifest.load("a")


def test_the_error_for_an_unknown_model_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    nearly = DEFAULT[:-1]
    monkeypatch.setenv("MODEL", nearly)
    with pytest.raises(ManifestError, match=rf"no model '{nearly}' \(did you mean {DEFAULT}\?\).*set MODEL"):
        manifest.selected()


def test_the_model_comes_from_the_variable_then_cog_yaml_then_a_catalog_of_one(
    catalog: Callable[[str, Any], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(manifest, "PROJECT", tmp_path)
    catalog("a", lambda content: content.update(title="First"))
    assert manifest.selected().title == "First"
    catalog("b", lambda content: content.update(title="Second"))
    with pytest.raises(ManifestError, match="set MODEL to one of a, b"):
        manifest.selected()
    (tmp_path / "cog.yaml").write_text("# Rendered from models/catalog/gone/model.yaml", encoding="utf-8")
    with pytest.raises(ManifestError, match="set MODEL to one of a, b"):
        manifest.selected()
    (tmp_path / "cog.yaml").write_text("# Rendered from models/catalog/a/model.yaml", encoding="utf-8")
    assert manifest.selected().title == "First"
    monkeypatch.setenv("MODEL", "b")
    assert manifest.selected().title == "Second"


def test_a_task_accepts_only_its_own_models(catalog: Callable[[str, Any], Path]) -> None:
    class Other(manifest.Manifest):
        __module__ = "models.tasks.text_embedding.manifest"

    catalog("a", lambda content: None)
    assert isinstance(manifest.selected_as(Manifest), Manifest)
    with pytest.raises(ManifestError, match=r"^a is a model for text-generation, not for text-embedding: set MODEL"):
        manifest.selected_as(Other)


def test_the_error_for_a_device_without_an_engine_says_where_to_add_one(catalog: Callable[[str, Any], Path]) -> None:
    path = catalog("a", lambda content: content.update(engines=content["engines"][1:]))
    with pytest.raises(ManifestError, match=f"a has no engine for cuda.*{re.escape(str(path))}"):
        manifest.load("a").engine_on("cuda")


METRICS = {"finish_reason": "length", "output_token_count": 8}


@pytest.mark.parametrize(
    ("expectation", "failures"),
    [
        ({"contains": ["paris", "FRANCE"], "excludes": ["Rome"]}, []),
        ({"contains": ["Paris", "Lyon"]}, ["does not contain 'Lyon'"]),
        ({"excludes": ["PARIS"]}, ["contains 'PARIS'"]),
        ({"finish_reason": "length"}, []),
        ({"finish_reason": "stop"}, ["finished by 'length', not 'stop'"]),
        ({"max_output_tokens": 8}, []),
        ({"max_output_tokens": 7}, ["has 8 tokens, more than 7"]),
        ({"contains": ["x"], "max_output_tokens": 1}, ["does not contain 'x'", "has 8 tokens, more than 1"]),
    ],
)
def test_an_expectation_reports_each_failure(expectation: dict[str, Any], failures: list[str]) -> None:
    assert Expectation(**expectation).failures("Paris is in France.", METRICS) == failures


SAFETENSORS, GGUF = {"source": "hf://a/b@main"}, {"source": "hf://a/b@main", "files": ["*.gguf"]}


@pytest.mark.parametrize(
    ("weights", "engine", "filled"),
    [
        (SAFETENSORS, {"engine": "openvino"}, "int8"),
        (SAFETENSORS, {"engine": "openvino", "dtype": "int4"}, "int4"),
        (GGUF, {"engine": "openvino"}, "float16"),
        (GGUF, {"engine": "openvino", "dtype": "int4"}, "int4"),
        (GGUF, {"engine": "transformers"}, "bfloat16"),
    ],
)
def test_the_default_dtype_follows_from_the_engine_and_the_weights(
    catalog: Callable[[str, Any], Path], weights: dict[str, Any], engine: dict[str, Any], filled: str
) -> None:
    engines = [{"device": "cpu", "cache_gb": 1, **engine}]
    catalog("a", lambda content: content.update(weights=weights, engines=engines))
    assert manifest.load("a").engines[0].dtype == filled


@pytest.mark.parametrize(
    ("weights", "engine", "says"),
    [
        (SAFETENSORS, {"engine": "openvino", "dtype": "bfloat16"}, "set dtype to one of int8, int4, float16$"),
        (SAFETENSORS, {"engine": "openvino", "dtype": "float32"}, "set dtype to one of int8, int4, float16$"),
        (SAFETENSORS, {"engine": "transformers", "dtype": "int8"}, "set dtype to one of bfloat16, float16, float32"),
        (GGUF, {"engine": "openvino", "dtype": "int8"}, "only to float16 or int4, not to int8: set dtype"),
        (SAFETENSORS, {"engine": "openvino", "device": "cuda"}, "openvino runs only on the device cpu"),
    ],
)
def test_a_dtype_or_device_that_the_engine_does_not_have_is_refused(
    catalog: Callable[[str, Any], Path], weights: dict[str, Any], engine: dict[str, Any], says: str
) -> None:
    engines = [{"device": "cpu", "cache_gb": 1, **engine}]
    catalog("a", lambda content: content.update(weights=weights, engines=engines))
    with pytest.raises(ManifestError, match=says):
        manifest.load("a")


GATE = {"terms": "Be kind."}
STAGES = [{"day": "2027-01-10", "opens": "gated"}, {"day": "2027-03-01", "opens": "open"}]


@pytest.mark.parametrize(
    ("release", "days"),
    [
        ("open", {"2026-01-01": "open"}),
        ({"tier": "gated", "gate": GATE}, {"2026-01-01": "gated"}),
        ("api-only", {"2026-01-01": "api-only", "2030-01-01": "api-only"}),
        (
            {"tier": "staged", "gate": GATE, "stages": STAGES},
            {"2027-01-09": "api-only", "2027-01-10": "gated", "2027-02-28": "gated", "2027-03-01": "open"},
        ),
    ],
)
def test_a_release_gives_the_access_to_the_weights_on_a_day(
    catalog: Callable[[str, Any], Path], release: Any, days: dict[str, str]
) -> None:
    catalog("a", lambda content: content.update(release=release))
    read = manifest.load("a").release
    assert read
    assert {day: read.access_on(date.fromisoformat(day)) for day in days} == days


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"release": "closed"}, r"release\.tier: .*'open', 'gated', 'api-only' or 'staged'"),
        ({"release": "gated"}, "release: gated weights need terms: set gate"),
        ({"release": "staged"}, "release: tier: staged and stages go together"),
        ({"release": {"tier": "open", "stages": STAGES}}, "release: tier: staged and stages go together"),
        (
            {"release": {"tier": "staged", "gate": GATE, "stages": STAGES[::-1]}},
            "release: stages must be in the order of their days",
        ),
        ({"release": {"tier": "open", "hub": "acme"}}, r"release\.hub: "),
        ({"license": {"id": "other", "link": "https://acme.example"}}, "license: .* other needs a name: set name"),
    ],
)
def test_an_incomplete_release_or_licence_is_an_error_that_names_the_key(
    catalog: Callable[[str, Any], Path], changes: dict[str, Any], says: str
) -> None:
    path = catalog("a", lambda content: content.update(changes))
    with pytest.raises(ManifestError, match=f"^{re.escape(str(path))}: {says}"):
        manifest.load("a")
