"""Cog's runtime passes the vectors of models/tasks/text_embedding/numbers.py on without a look at each number."""

from pathlib import Path

import numpy

from models import manifest
from models.tasks.text_embedding.numbers import numbers
from tests.serving import serving_class
from tests.template.server.live_server import LiveServer

PREDICTOR = """
from typing import Any
import numpy
from cog import BasePredictor
from models.tasks.text_embedding.numbers import numbers

VECTORS = numbers(numpy.full((100, 384), 0.1, numpy.float32), 8)

class TextEmbedding(BasePredictor):
    def predict(self, inspected: bool) -> Any:
        return numpy.asarray(VECTORS).tolist() if inspected else VECTORS
"""


def test_the_runtime_does_not_inspect_each_number(tmp_path: Path) -> None:
    with serving_class(PREDICTOR, tmp_path, manifest.load("all-minilm-l6-v2")) as (address, _):
        server = LiveServer(address)

        def took(inspected: bool) -> float:
            prediction = server.predict(inspected=inspected)
            assert prediction["output"] == [[0.1] * 384] * 100
            return float(prediction["metrics"]["predict_time"])

        times = [(took(True), took(False)) for _ in range(3)]
    with_inspection, without = (min(column) for column in zip(*times, strict=True))
    print(f"as lists {with_inspection:.3f} s, as tuples {without:.3f} s")
    assert without < with_inspection / 3


def test_numbers_are_rounded_so_that_json_has_no_more_digits_than_float32() -> None:
    assert numbers(numpy.float32([[0.1, 1 / 3]]), 8).tolist() == ((0.1, 0.33333334),)
