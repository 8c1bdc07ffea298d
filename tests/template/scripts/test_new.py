"""make new: makes a tested catalog model from a repository of the Hub, or from local files."""

from pathlib import Path
from typing import Any

import pytest

from models import manifest
from models.errors import TemplateError
from models.facts import Facts
from scripts import new
from scripts.lookup.repository import Repository
from scripts.scaffold import custom, draft


def repository(**changes: Any) -> Repository:
    fields = {
        "source": "hf://acme/one@main",
        "title": "one",
        "names": ["model.safetensors", "config.json"],
        "config": {},
    }
    return Repository(**{**fields, **changes})  # type: ignore[arg-type]


def of_class(name: str, *names: str, **changes: Any) -> Repository:
    return repository(config={"architectures": [name]}, names=["model.safetensors", *names], **changes)


@pytest.mark.parametrize(
    ("found", "task"),
    [
        (of_class("Qwen3ForCausalLM"), "text-generation"),
        (of_class("GPT2LMHeadModel"), "text-generation"),
        (repository(names=["one.gguf"]), "text-generation"),
        (of_class("BertForSequenceClassification"), "text-classification"),
        (of_class("BertModel", "modules.json"), "text-embedding"),
        (of_class("BertModel", "modules.json", pipeline_tag="sentence-similarity"), "text-embedding"),
        (of_class("XLMRobertaModel", pipeline_tag="feature-extraction"), "text-embedding"),
    ],
)
def test_the_task_follows_from_the_files(found: Repository, task: str) -> None:
    assert draft.task_of(found, "") == task
    examples = draft.manifest_of(task, found, {"id": "mit", "link": "https://mit"}, [], Facts(), 0)["examples"]
    assert len(examples) == 3


@pytest.mark.parametrize(
    ("found", "wanted", "answer"),
    [
        (of_class("Qwen3ForCausalLM"), "text-embedding", "is not a model for text-embedding: TASK=text-generation"),
        (of_class("CLIPModel", pipeline_tag="zero-shot-image-classification"), "", "no task of this project fits one"),
        (of_class("Qwen3ForCausalLM"), "images", "there is no task 'images': TASK is one of "),
    ],
)
def test_a_task_that_does_not_fit_is_refused(found: Repository, wanted: str, answer: str) -> None:
    with pytest.raises(TemplateError, match=answer):
        draft.task_of(found, wanted)


def test_with_several_ggufs_one_must_be_named() -> None:
    parts = [f"big-0000{part}-of-00002.gguf" for part in (1, 2)]
    assert draft.files_of(repository(names=parts)) == parts
    draft.check_loadable(repository(names=parts), parts)
    draft.check_loadable(repository(names=["one.gguf"]), draft.files_of(repository(names=["one.gguf"])))
    with pytest.raises(TemplateError, match=r"several GGUFs, say which: FILES=... of q4.gguf, q8.gguf"):
        draft.files_of(repository(names=["q4.gguf", "q8.gguf"]))


def test_the_licence_is_taken_from_the_card_or_must_be_given() -> None:
    llama = {"license": "other", "license_name": "Acme Research 1.0", "license_link": "https://acme.example/terms"}
    licence = draft.licence_of(repository(card=llama), "")
    assert licence == {"id": "other", "name": "acme-research-1.0", "link": "https://acme.example/terms"}
    assert draft.licence_of(repository(), "mit")["id"] == "mit"
    with pytest.raises(TemplateError, match="one names no licence, and without one nobody may use it"):
        draft.licence_of(repository(), "")


def test_hardware_and_engines_are_large_enough_for_the_model() -> None:
    facts = Facts(parameters=8_000_000_000, layers=32, kv_heads=8, head_dim=128, context_length=131072)
    licence = {"id": "mit", "link": "https://mit"}
    drafted = draft.manifest_of("text-generation", repository(), licence, [], facts, 16 * 10**9)
    assert [engine["device"] for engine in drafted["engines"]] == ["cuda"]
    assert drafted["engines"][0]["cache_gb"] == pytest.approx(8.8)
    assert drafted["hardware"]["replicate"] not in ("cpu", "gpu-t4")
    with pytest.raises(TemplateError, match="900 GB of weights fit no single GPU"):
        draft.manifest_of("text-generation", repository(), licence, [], facts, 900 * 10**9)


@pytest.mark.parametrize(
    ("arguments", "code", "answer"),
    [
        ([], 2, "say the model's name and source"),
        (["My Model", "hf://a/b"], 2, "'My Model' is not a valid name"),
        (["smollm2-135m-instruct", "hf://a/b"], 1, "there is a model smollm2-135m-instruct already"),
        (["mine", "ftp://a/b"], 1, "'ftp://a/b' is not a source to look up"),
        (["mine", "file:no-such-folder"], 1, "there is no no-such-folder"),
        (["mine", "hf://a/b", "--task", "custom"], 2, "TASK=custom takes a NAME alone"),
        (["3d-net", "--task", "custom"], 2, "'3d-net' cannot be the name of a Python module and class"),
        (["lambda", "--task", "custom"], 2, "'lambda' cannot be the name of a Python module and class"),
        (["text-embedding", "--task", "custom"], 1, "there is models/tasks/text_embedding/__init__.py already"),
        (["label-score", "--task", "custom"], 1, "predict.py has a class LabelScore already"),
    ],
)
def test_contradictory_options_are_refused(
    arguments: list[str], code: int, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert new.main(arguments) == code
    assert capsys.readouterr().err.startswith(answer)


def test_a_dry_run_of_a_custom_task_names_its_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert new.main(["my-net", "--task", "custom", "--dry-run"]) == 0
    written = capsys.readouterr().out.splitlines()
    assert "would write models/tasks/my_net/network.py" in written
    assert "would write training/my_net.py" in written
    assert written[-1] == "would write predict.py"
    assert not (manifest.TASKS / "my_net").exists()


def test_a_custom_task_that_fails_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (manifest.PROJECT / "predict.py").read_text(encoding="utf-8")
    (tmp_path / "predict.py").write_text(before, encoding="utf-8")
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(custom, "PROJECT", tmp_path)
    monkeypatch.setattr(custom, "_SEAM", tmp_path / "predict.py")
    texts = custom.new_files("my-net")
    assert not any("image_classifier" in text or "image-classifier" in text for text in [*texts, *texts.values()])
    assert "class MyNet(BasePredictor)" in texts["predict.py"]
    assert "import my_net, text_" in texts["predict.py"]

    def fail() -> None:
        with custom.written(texts):
            (tmp_path / "models/catalog/my-net/weights.lock").touch()
            raise TemplateError("no torch")

    with pytest.raises(TemplateError, match="no torch"):
        fail()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["predict.py"]
    assert list((tmp_path / "models").iterdir()) == []
    assert (tmp_path / "predict.py").read_text(encoding="utf-8") == before
