"""The committed files equal those rendered from the manifest and predict.py."""

import json

from models.manifest import PROJECT
from scripts.contract import schema
from scripts.rendering import files as render
from tests.fork.conftest import CLASS, MODEL


def test_each_rendered_file_is_current() -> None:
    rendered = render.rendered(MODEL)
    paths = {name: PROJECT / name for name in rendered}
    present = {name: path.read_text(encoding="utf-8") if path.is_file() else "" for name, path in paths.items()}
    assert present == rendered, f"make render MODEL={MODEL.slug}"


def test_the_predictor_class_has_a_committed_schema_without_warnings() -> None:
    committed = json.loads((PROJECT / "schemas" / f"{CLASS}.json").read_text(encoding="utf-8"))
    assert committed == schema.generate(CLASS)
    assert schema.remarks(CLASS) == []
