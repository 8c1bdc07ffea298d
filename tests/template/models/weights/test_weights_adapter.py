"""An adapter in the lock: its facts, its base model, and what is refused before anything is merged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from models import manifest, runtimes, weights
from models.errors import EngineError, ManifestError, WeightsError
from models.manifest import Manifest
from models.weights import lock
from models.weights.progress import PlainLines
from scripts.hub import card, contents
from tests.services.hub import Hub
from tests.template.models.weights.project import Project, safetensors

CONFIG = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "base_model_name_or_path": "org/base"}
MODEL = {"config.json": b'{"model_type": "llama"}', "model.safetensors": safetensors(1000)}
Make = Callable[..., Manifest]


def lora(**changes: Any) -> dict[str, bytes]:
    return {
        "adapter_config.json": json.dumps(CONFIG | changes).encode(),
        "adapter_model.safetensors": safetensors(100),
        "README.md": b"# LoRA",
        "tokenizer.json": b"{}",
        "training_args.bin": b"a pickle",
    }


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes the manifest of a model with the base in base/ and the adapter in lora/."""
    default = yaml.safe_load(manifest.path_of("smollm2-135m-instruct").read_text(encoding="utf-8"))
    monkeypatch.setattr(manifest, "CATALOG", tmp_path / "catalog")
    monkeypatch.setattr(lock, "CATALOG", tmp_path / "catalog")
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path / "weights"))
    manifest.path_of("adapted").parent.mkdir(parents=True)

    def made(
        lora: dict[str, bytes], base: dict[str, bytes] = MODEL, relation: str = "adapter", **more: Any
    ) -> Manifest:
        for name, files in {"base": base, "lora": lora}.items():
            (tmp_path / name).mkdir(exist_ok=True)
            for file, content in files.items():
                (tmp_path / name / file).write_bytes(content)
        section = {"source": f"file:{tmp_path / 'base'}", "adapter": {"source": f"file:{tmp_path / 'lora'}"}}
        choices = [{"engine": "transformers", "device": "cpu", "cache_gb": 1}]
        keys = {"weights": section | more, "base": default["base"] | {"relation": relation}, "engines": choices}
        manifest.path_of("adapted").write_text(yaml.safe_dump(default | keys))
        return manifest.load("adapted")

    return made


def test_an_adapter_of_the_hub_is_pinned_to_its_own_commit(tmp_path: Path) -> None:
    with Hub() as hub:
        commits = {name: hub.add(name, files) for name, files in {"org/base": MODEL, "org/lora": lora()}.items()}
        project = Project(tmp_path / "project", HF_ENDPOINT=hub.endpoint)
        project.model("hf://org/base@main", adapter={"source": "hf://org/lora@main"})
        pinned = project.does("weights_lock")
    locked = project.locked()
    assert locked["resolved"] == f"hf://org/base@{commits['org/base']}"
    assert locked["adapter"]["resolved"] == f"hf://org/lora@{commits['org/lora']}"
    assert sorted(locked["files"]) == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "config.json",
        "model.safetensors",
    ]
    assert "trained on" not in pinned.stderr


def test_both_are_fetched_and_checked(make: Make) -> None:
    model = make(lora())
    lock.write(model, weights.make_lock(model, PlainLines()))
    weights.fetch(model, PlainLines())
    weights.verify(model, weights.SOURCE, full=True)
    place = weights.folder("adapted", weights.SOURCE)
    assert (place / "adapter" / "adapter_config.json").read_bytes() == lora()["adapter_config.json"]
    assert not (place / "adapter" / "tokenizer.json").exists()
    (place / "adapter" / "adapter_model.safetensors").write_bytes(safetensors(100)[:-1] + b"x")
    with pytest.raises(WeightsError, match=r"adapter_model\.safetensors has sha256"):
        weights.verify(model, weights.SOURCE, full=True)


def test_no_engine_loads_the_base_in_its_place(make: Make) -> None:
    model = make(lora())
    lock.write(model, weights.make_lock(model, PlainLines()))
    (choice,) = model.engines
    assert runtimes.part_of(model, choice) == "transformers"
    assert not runtimes.is_ready(model, choice)
    with pytest.raises(EngineError, match="a container cannot make transformers's files"):
        runtimes.ensure(model, choice, PlainLines())


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (lora(peft_type="IA3"), "is an adapter of the kind IA3, not LORA: name another under weights.adapter"),
        (lora(r="eight"), "adapter_config.json is no configuration of peft"),
        ({"adapter_config.json": b"{", "adapter_model.safetensors": safetensors(9)}, "is no configuration of peft"),
        (MODEL, "weights.adapter: no weights among the files"),
        ({"adapter_model.safetensors": safetensors(9)}, "is no adapter: it does not have adapter_config.json and"),
        (
            {"adapter_config.json": b"{}", "adapter_model.bin": b"a pickle"},
            "weights.adapter: adapter_model.bin is a pickle, which runs code when it is loaded",
        ),
    ],
    ids=["kind", "rank", "json", "model", "weights alone", "pickle"],
)
def test_a_source_that_is_not_an_adapter_is_refused(make: Make, adapter: dict[str, bytes], message: str) -> None:
    with pytest.raises(WeightsError) as refused:
        weights.make_lock(make(adapter), PlainLines())
    assert message in str(refused.value)


def test_a_base_without_a_config_or_that_is_an_adapter_is_refused(make: Make) -> None:
    with pytest.raises(WeightsError, match=r"merged into safetensors with a config\.json, which .* does not have"):
        weights.make_lock(make(lora(), base={"model.safetensors": safetensors(9)}), PlainLines())
    with pytest.raises(WeightsError, match=r"is an adapter of org/base: set weights\.source to its base model"):
        weights.make_lock(make(lora(), base=lora()), PlainLines())


def test_a_base_that_differs_from_the_adapter_s_is_reported(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    weights.make_lock(make(lora(base_model_name_or_path="org/other")), PlainLines())
    assert "the adapter says that it was trained on org/other, and weights.source is file:" in capsys.readouterr().err


def test_a_lock_without_the_adapter_of_the_manifest_is_refused(make: Make) -> None:
    model = make(lora())
    pinned = weights.make_lock(model, PlainLines())
    lock.write(model, pinned.parts[""])
    with pytest.raises(WeightsError, match="locks no adapter, but the manifest names one: make weights-lock"):
        lock.lock_of(model)
    lock.write(model, pinned)
    with pytest.raises(WeightsError, match="locks an adapter, but the manifest names none: make weights-lock"):
        lock.lock_of(make(lora(), adapter=None))
    with pytest.raises(WeightsError, match=r"locks as adapter file:.*lora, but the manifest names file:/other"):
        lock.lock_of(make(lora(), adapter={"source": "file:/other"}))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"relation": "copy"}, "base.relation is copy, but weights.adapter changes the model: set it to adapter"),
        (
            {"delivery": "fetched", "source": "hf://a/b@main"},
            "a container cannot merge an adapter: set delivery: baked",
        ),
        ({"source": "file:/x.gguf"}, "an adapter is merged into safetensors"),
        ({"adapter": {}}, "weights.adapter.source"),
    ],
    ids=["relation", "fetched", "gguf", "nothing"],
)
def test_a_manifest_that_cannot_be_is_refused(make: Make, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError) as refused:
        make(lora(), **keys)
    assert message in str(refused.value)


def test_the_lineage_is_on_the_card_and_the_base_stays_where_it_is(make: Make) -> None:
    model = make(lora())
    lock.write(model, weights.make_lock(model, PlainLines()))
    assert card.metadata(model).to_dict()["base_model_relation"] == "adapter"
    assert ("adapter", f"{model.weights.adapter.source} (LoRA of rank 8)") in card._details(model)
    paths = {item.path for item in contents._weights(model)}
    assert paths == {"adapter/adapter_config.json", "adapter/adapter_model.safetensors", "model.safetensors"}
    merged = weights.folder(model.slug, "transformers")
    for name in ("model.safetensors", "1_Pooling/config.json", weights.RECORD):
        (merged / name).parent.mkdir(parents=True, exist_ok=True)
        (merged / name).write_text("{}")
    assert {item.path for item in contents._weights(model)} == paths | {"1_Pooling/config.json"}
