"""The committed files equal those rendered from the manifest and predict.py."""

import json

import pytest

from models.manifest import PROJECT
from scripts.contract import schema
from scripts.rendering import files as render
from tests.fork.conftest import CLASS, MODEL

RENDERED = render.rendered(MODEL)


@pytest.mark.parametrize("name", sorted(RENDERED))
def test_each_rendered_file_is_current(name: str) -> None:
    path = PROJECT / name
    present = path.read_text(encoding="utf-8") if path.is_file() else ""
    assert present == RENDERED[name], f"make render MODEL={MODEL.slug}"


def test_the_predictor_class_has_a_committed_schema_without_warnings() -> None:
    committed = json.loads((PROJECT / "schemas" / f"{CLASS}.json").read_text(encoding="utf-8"))
    assert committed == schema.generate(CLASS)
    assert schema.remarks(CLASS) == []
