"""The contract in an image's label stops a release if it differs from that of predict.py."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from models.errors import TemplateError
from scripts.contract import label, schema

PAINTER = """from cog import BaseRunner, Input
class Painter(BaseRunner):
    def run(
        self,
        size: int = Input(le=3),
    ) -> str: ...
"""


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The contract of a predict.py with the class Painter, to edit."""
    monkeypatch.setattr(schema, "PROJECT", tmp_path)
    (tmp_path / "predict.py").write_text(PAINTER)
    return copy.deepcopy(schema.generate("Painter"))


def check(contract: dict[str, Any]) -> dict[str, Any]:
    """Check an image with this contract, built by a later Cog."""
    labels = {label.SCHEMA: json.dumps(contract), label.VERSION: "0.23.0"}
    return label.check({"Config": {"Labels": labels}}, "Painter")


def test_an_image_of_predict_py_passes_with_any_cog_version(contract: dict[str, Any]) -> None:
    contract["info"]["version"] = "0.23.0"
    assert check(contract) == contract


def test_a_difference_stops_the_push_and_names_the_location_and_the_line(contract: dict[str, Any]) -> None:
    del contract["components"]["schemas"]["Input"]["properties"]["size"]["maximum"]
    with pytest.raises(TemplateError) as refused:
        check(contract)
    assert str(refused.value) == (
        "the image's contract is not that of predict.py, line 5: components.schemas.Input.properties.size.maximum is "
        "missing in the image's label, and 3 in predict.py. Cog 0.23.0 built it from another predict.py, or reads "
        "this one differently: build it again with cog 0.22.0"
    )


def test_a_difference_outside_of_the_inputs_names_the_method(contract: dict[str, Any]) -> None:
    contract["components"]["schemas"]["Output"]["type"] = "object"
    with pytest.raises(TemplateError, match=r"predict.py, line 3: components.schemas.Output.type is .object. in"):
        check(contract)


def test_an_image_without_the_label_is_not_one_of_cogs() -> None:
    with pytest.raises(TemplateError, match=r"has no label run\.cog\.openapi_schema, so cog build did not make it"):
        label.check({"Config": {"Labels": None}}, "Painter")
