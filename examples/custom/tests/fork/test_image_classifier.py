"""The image classifier behind Cog's real server: pictures that it has not seen, and a file that is none."""

import base64
import io
import random

import pytest

from models.manifest import Manifest
from tests.fork.conftest import Served
from training.image_classifier import drawn


def as_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@pytest.fixture(autouse=True)
def served_alone(model: Manifest) -> None:
    if model.task != "image-classifier":
        pytest.skip(f"{model.slug} is served")


@pytest.mark.parametrize("shape", ["circle", "square", "triangle"])
def test_new_pictures_are_classified(served: Served, shape: str) -> None:
    choices = random.Random(1000)
    best = []
    for _ in range(10):
        file = io.BytesIO()
        drawn(shape, choices).save(file, "PNG")
        answer = served.predict({"image": as_uri(file.getvalue(), "image/png"), "top_k": 1}).json()
        best += [one["label"] for one in answer["output"]]
    assert best.count(shape) >= 9


def test_a_file_that_is_no_picture_is_refused(served: Served) -> None:
    answer = served.predict({"image": as_uri(b"not a picture", "image/png")}).json()
    assert answer["status"] == "failed"
    assert "image is no picture that can be read" in answer["error"]
