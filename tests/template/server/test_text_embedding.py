"""all-MiniLM-L6-v2 through Cog's real server, on both engines: its vectors, and its refusals."""

import base64
import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy
import pytest

from models import manifest, weights
from scripts.economics import live, receipts
from scripts.tasks import of_encoders
from tests.serving import serving
from tests.template.server.live_server import SLOTS, LiveServer

MODEL = "all-minilm-l6-v2"
PAIRS = [
    ("The cat sleeps on the sofa.", "A kitten naps on the couch."),
    ("The central bank raised interest rates.", "Borrowing money became more expensive."),
    ("She plays the violin in an orchestra.", "The musician performs with a string ensemble."),
    ("The train to Berlin was two hours late.", "Our railway journey was delayed."),
    ("Boil the pasta in salted water.", "Cook spaghetti in a pot with salt."),
]
SENTENCES = [sentence for pair in PAIRS for sentence in pair]
NEAR = {"openvino": 2e-3, "transformers": 1e-5}
"""The most that a number may differ from sentence-transformers', which computes in float32. OpenVINO computes
in bfloat16 where the processor has instructions for it, four times as fast."""


@pytest.fixture(scope="module", params=[pytest.param("openvino", marks=pytest.mark.slow), "transformers"])
def server(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    with serving(manifest.load(MODEL), request.param) as address:
        yield LiveServer(address, request.param)


def vectors(server: LiveServer, **inputs: Any) -> Any:
    return numpy.array(server.predict(**inputs)["output"]["embeddings"])


def refusal(server: LiveServer, **inputs: Any) -> str:
    prediction = server.post(**inputs).json()
    assert prediction["status"] == "failed", prediction
    message: str = prediction["error"]
    return message


def test_among_ten_sentences_those_with_the_same_meaning_are_nearest(server: LiveServer) -> None:
    found = vectors(server, texts=SENTENCES)
    likeness = found @ found.T - 2 * numpy.eye(len(found))
    assert likeness.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]


def test_vectors_are_those_of_sentence_transformers(server: LiveServer) -> None:
    from sentence_transformers import SentenceTransformer

    texts = [*SENTENCES, "Rates rose again, and analysts expect more of it. " * 60]
    expected = SentenceTransformer(str(weights.folder(MODEL, weights.SOURCE)), device="cpu").encode(texts)
    found = vectors(server, texts=texts)
    numpy.testing.assert_allclose(found, expected, atol=NEAR[server.engine])
    assert numpy.abs(found - expected).mean() < 1e-3
    assert (found * expected).sum(axis=1).min() > 0.9999  # cosine similarity


def test_the_examples_of_the_manifest_meet_their_expectations(server: LiveServer) -> None:
    for example in manifest.load(MODEL).examples:
        prediction = server.predict(**example.input)
        assert example.expect.failures(prediction["output"], prediction["metrics"]) == []


def test_vectors_are_normalised_and_shortened_as_requested(server: LiveServer) -> None:
    text = SENTENCES[0]
    whole, short = vectors(server, text=text), vectors(server, text=text, dimensions=64)
    raw = vectors(server, text=text, normalize=False)
    assert numpy.linalg.norm(whole) == pytest.approx(1, abs=1e-5)
    assert numpy.linalg.norm(short) == pytest.approx(1, abs=1e-5)
    assert numpy.linalg.norm(raw) != pytest.approx(1, abs=0.1)
    numpy.testing.assert_allclose(whole[:, :64] / numpy.linalg.norm(whole[:, :64]), short, atol=1e-6)
    numpy.testing.assert_allclose(raw / numpy.linalg.norm(raw), whole, atol=1e-6)


@pytest.mark.slow
def test_many_texts_can_be_returned_as_a_file_with_the_same_numbers(server: LiveServer) -> None:
    texts = [f"{sentence} {number}" for number in range(30) for sentence in SENTENCES]
    prediction = server.predict(texts=texts, output_format="npy")
    assert prediction["output"]["embeddings"] is None
    content = base64.b64decode(prediction["output"]["file"].partition("base64,")[2])
    found = numpy.load(io.BytesIO(content), allow_pickle=False)
    assert (found.shape, found.dtype) == ((300, 384), numpy.float32)
    numpy.testing.assert_allclose(found, vectors(server, texts=texts), atol=2 * NEAR[server.engine])
    assert prediction["metrics"]["text_count"] == 300


def test_a_long_text_is_cut_and_counted_or_refused(server: LiveServer) -> None:
    text = "salt " * 1000
    metrics = server.predict(texts=[text, "salt"])["metrics"]
    assert (metrics["truncated_count"], metrics["input_token_count"]) == (1, 256 + 3)
    assert "text 1 of text has 1002 tokens, and the model reads 256" in refusal(server, text=text, truncate=False)


def test_a_cancelled_call_makes_room_for_others(server: LiveServer) -> None:
    body = {"input": {"texts": [f"{number} " * 200 for number in range(10_000)], "output_format": "npy"}}
    headers = {"Prefer": "respond-async"}
    assert server.client.put("/predictions/long", json=body, headers=headers).status_code == 202
    time.sleep(0.5)
    begun = time.monotonic()
    server.predict(text="salt")  # calls take turns
    assert server.client.post("/predictions/long/cancel").status_code == 200
    assert server.client.post("/predictions/long/cancel").status_code in (200, 404)
    server.predict(text="salt")
    assert time.monotonic() - begun < 60, "the long call was run to its end"


def test_concurrent_callers_get_their_own_vectors(server: LiveServer) -> None:
    texts = [f"{sentence[:20]} {number}" for number in range(3) for sentence in SENTENCES]
    expected = vectors(server, texts=texts)
    with httpx.Client(base_url=server.address, timeout=60) as client, ThreadPoolExecutor(SLOTS) as pool:

        def ask(text: str) -> Any:
            while (answer := client.post("/predictions", json={"input": {"text": text}})).status_code == 409:
                time.sleep(0.01)  # a slot is free a moment after its response
            return answer.json()["output"]["embeddings"][0]

        numpy.testing.assert_allclose(list(pool.map(ask, texts)), expected, atol=2 * NEAR[server.engine])


def test_what_a_prediction_costs_is_measured_by_its_tokens(
    server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "folder_of", lambda model: tmp_path)
    monkeypatch.setattr(of_encoders, "_KINDS", [(1, 3), (2, 9)])
    monkeypatch.setattr(of_encoders, "EACH", 2)
    model = manifest.load(MODEL)
    live.measure(server.address, model, [1], None)
    (measured,) = receipts.measurements(model)[:1]
    assert [list(point.sizes) for point in measured.points] == [["input_tokens"]] * 2
    assert measured.points[0].sizes["input_tokens"] < measured.points[1].sizes["input_tokens"]
