"""What is rendered from the manifest and predict.py is what is committed."""

import json

import pytest

from models.manifest import Manifest
from models.weights import PROJECT
from scripts.contract import schema
from scripts.rendering import files as render
from tests.fork.conftest import CLASS, MODEL


@pytest.mark.parametrize("name", sorted(render.rendered(MODEL)))
def test_each_rendered_file_is_current(model: Manifest, name: str) -> None:
    path = PROJECT / name
    present = path.read_text(encoding="utf-8") if path.is_file() else ""
    assert present == render.rendered(model)[name], f"make render MODEL={model.slug}"


def test_the_predictor_class_has_a_committed_schema_without_warnings() -> None:
    committed = json.loads((PROJECT / "schemas" / f"{CLASS}.json").read_text(encoding="utf-8"))
    assert committed == schema.generate(CLASS)
    assert schema.remarks(CLASS) == []
