"""The commands that show the catalog and choose from it."""

import json
from pathlib import Path

import pytest

from models import manifest
from models.manifest import PROJECT
from scripts import models, use
from scripts.rendering import files


def test_the_catalog_is_listed_with_the_served_model_marked(capsys: pytest.CaptureFixture[str]) -> None:
    assert models.main(["--json"]) == 0
    found = {one["model"]: one for one in json.loads(capsys.readouterr().out)}
    assert sorted(found) == manifest.slugs()
    assert [slug for slug, one in found.items() if one["is_served"]] == [manifest.selected().slug]
    default = found["smollm2-135m-instruct"]
    assert (default["task"], default["licence"], round(default["weights_mb"])) == ("text-generation", "apache-2.0", 98)
    assert default["speed"].split()[1] == "tokens/s"
    assert models.main([]) == 0
    assert "* smollm2-135m-instruct" in " ".join(capsys.readouterr().out.split())


def test_another_model_is_served_after_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "PROJECT", tmp_path)  # rendered files are not written into this project
    (tmp_path / "README.md").write_text((PROJECT / "README.md").read_text(encoding="utf-8"), encoding="utf-8")
    assert use.main(["--dry-run", "all-minilm-l6-v2"]) == 0
    assert not (tmp_path / "cog.yaml").exists()
    assert use.main(["all-minilm-l6-v2"]) == 0
    text = (tmp_path / "cog.yaml").read_text(encoding="utf-8")
    assert "predict: predict.py:TextEmbedding" in text
    assert "models/catalog/all-minilm-l6-v2/model.yaml" in text
    assert capsys.readouterr().err.endswith("next: make predict\n")


@pytest.mark.parametrize(
    ("arguments", "code", "answer"),
    [
        ([], 2, "say which model: make use MODEL=SLUG, one of all-minilm-l6-v2"),
        (["smollm2-135m"], 1, "there is no model 'smollm2-135m' (did you mean smollm2-135m-instruct?)"),
    ],
)
def test_a_missing_model_is_refused(
    arguments: list[str], code: int, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert use.main(arguments) == code
    assert capsys.readouterr().err.startswith(answer)
