"""Incomplete models: missing, partial or duplicate files are named, when a model is locked and afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import WeightsError
from models.weights import completeness
from tests.services.hub import Hub
from tests.template.models.weights.project import Project, gguf

NAME = "org/name"
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"
LAYERS = [f"model.layers.{number}.mlp.weight" for number in range(12)]


def safetensors(*names: str) -> bytes:
    """A file of tensors of one byte each."""
    header = {name: {"dtype": "U8", "shape": [1], "data_offsets": [at, at + 1]} for at, name in enumerate(names)}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(len(names))


def index(**shards: str) -> bytes:
    return json.dumps({"metadata": {}, "weight_map": shards}).encode()


TWO = {INDEX: index(a=SHARDS[0], b=SHARDS[1]), SHARDS[0]: safetensors("a"), SHARDS[1]: safetensors("b")}


def folder_of(place: Path, files: dict[str, bytes]) -> list[str]:
    """Write the files; returns their names."""
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    return list(files)


def only_once(place: Path, files: dict[str, bytes]) -> set[str]:
    return set(completeness.only_once(folder_of(place, files), place))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({**TWO, SHARDS[1]: None}, rf"{SHARDS[0]} is one of 2 parts, and without {SHARDS[1]} no model"),
        ({INDEX: index(a="one.safetensors", b="two.safetensors"), "one.safetensors": b""}, r"names two\.safetensors"),
        ({"a-00002-of-00003.gguf": b""}, r"is one of 3 parts, and without a-00001-of-00003.gguf, a-00003-of-00003"),
        ({"a.Q4_0.gguf": b"", "a.Q8_0.gguf": b""}, r"takes 2 GGUFs \(a\.Q4_0\.gguf, a\.Q8_0\.gguf\): name the one"),
        ({**TWO, INDEX: b"{"}, r"index\.json is not JSON"),
        ({**TWO, INDEX: b"[]"}, r"index\.json is not a JSON object"),
        ({**TWO, INDEX: b"{}"}, r"index\.json is malformed, as it has no weight_map"),
    ],
)
def test_an_incomplete_model_is_refused_by_name(tmp_path: Path, files: dict[str, Any], says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        only_once(tmp_path, {name: content for name, content in files.items() if content is not None})


@pytest.mark.parametrize("copy", ["consolidated.safetensors", "consolidated.00.safetensors", "model.safetensors"])
def test_a_copy_beside_shards_is_left_out(tmp_path: Path, copy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert only_once(tmp_path, {**TWO, copy: b"", "adapter_model.safetensors": b""}) == {
        *TWO,
        "adapter_model.safetensors",
    }
    assert capsys.readouterr().err == f"left out, as the same weights are in other files: {copy}\n"


def test_a_copy_beside_one_file_is_left_out(tmp_path: Path) -> None:
    assert only_once(tmp_path, {"model.safetensors": b"", "consolidated.safetensors": b""}) == {"model.safetensors"}
    assert only_once(tmp_path, {"consolidated.safetensors": b""}) == {"consolidated.safetensors"}


@pytest.mark.parametrize("weights", ["model.safetensors", "model.gguf"])
def test_an_index_that_was_left_beside_other_weights_is_ignored(tmp_path: Path, weights: str) -> None:
    assert only_once(tmp_path, {INDEX: TWO[INDEX], weights: b""}) == {INDEX, weights}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({**TWO, SHARDS[1]: safetensors("c")}, rf"{SHARDS[1]} lacks b, which the index says it holds"),
        ({**TWO, SHARDS[1]: safetensors("b", "a")}, rf"a is in {SHARDS[0]} and in {SHARDS[1]}"),
        (
            {"model.safetensors": safetensors(*LAYERS[:7], *LAYERS[8:])},
            r"has only some of its 12 layers; missing: model\.layers\.7;",
        ),
        (
            {"config.json": b'{"num_hidden_layers": 12}', "model.safetensors": safetensors(*LAYERS[:5])},
            r"has only some of its 12 layers; missing: model\.layers\.5, .* and 2 more;",
        ),
        (
            {"config.json": b'{"text_config": {"num_hidden_layers": 13}}', "model.safetensors": safetensors(*LAYERS)},
            r"has only some of its 13 layers; missing: model\.layers\.12;",
        ),
    ],
)
def test_missing_tensors_are_named(tmp_path: Path, files: dict[str, bytes], says: str) -> None:
    files = {"config.json": b"{}", **files}
    with pytest.raises(WeightsError, match=says):
        completeness.check(folder_of(tmp_path, files), tmp_path)


def test_a_complete_model_passes(tmp_path: Path) -> None:
    config = b'{"text_config": {"num_hidden_layers": 12}, "vision_config": {"num_hidden_layers": 2}}'
    tower = [f"vision_tower.layers.{number}.weight" for number in range(2)]
    files = {"config.json": config, "model.safetensors": safetensors(*LAYERS, *tower, "lm_head.weight")}
    completeness.check(folder_of(tmp_path, files), tmp_path)
    completeness.check(folder_of(tmp_path, TWO), tmp_path)


def test_a_repository_is_locked_completely_and_without_copies(hub: Hub, project: Project) -> None:
    hub.add(NAME, {"config.json": b"{}", **TWO, "consolidated.safetensors": safetensors("a", "b")})
    project.does("weights_lock")
    assert sorted(project.locked()["files"]) == sorted(["config.json", *TWO])
    project.does("weights")
    hub.add(NAME, {"config.json": b"{}", **{name: TWO[name] for name in (INDEX, SHARDS[0])}})
    assert f"without {SHARDS[1]} no model" in project.refuses("weights_lock")


def test_faults_in_the_headers_are_reported_before_anything_is_downloaded(hub: Hub, project: Project) -> None:
    hub.add(NAME, {"config.json": b"{}", **TWO, SHARDS[1]: safetensors("c")})
    assert f"{SHARDS[1]} lacks b, which the index says it holds" in project.refuses("weights_lock")
    assert not (project.weights / "source").exists()


def test_a_split_gguf_with_a_missing_part_is_not_locked(project: Project, tmp_path: Path) -> None:
    folder_of(tmp_path / "mine", {"a-00001-of-00002.gguf": gguf(100)})
    for source in ("mine", "mine/a-00001-of-00002.gguf"):
        project.model(f"file:{tmp_path}/{source}", *(["*.gguf"] if source == "mine" else []))
        assert "without a-00002-of-00002.gguf no model" in project.refuses("weights_lock")
