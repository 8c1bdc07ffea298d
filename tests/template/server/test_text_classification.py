"""Zero-shot classification with all-MiniLM-L6-v2 through Cog's real server, on both engines."""

from collections.abc import Iterator

import pytest

from models import manifest
from tests.serving import serving
from tests.template.server.live_server import LiveServer

MODEL = "all-minilm-l6-v2-zero-shot"
TEXTS = {
    "The striker scored twice in the second half.": "sports",
    "The marathon runner broke the world record.": "sports",
    "Our team lost the basketball final by one point.": "sports",
    "She won her third tennis title this year.": "sports",
    "Parliament passed the new election law.": "politics",
    "The president met opposition leaders before the vote.": "politics",
    "Voters go to the polls on Sunday.": "politics",
    "The minister resigned after the scandal.": "politics",
    "Add garlic and simmer the sauce for an hour.": "cooking",
    "Knead the dough and let it rise overnight.": "cooking",
    "The soup needs more salt and pepper.": "cooking",
    "Roast the chicken at 200 degrees.": "cooking",
    "The telescope found a planet around a distant star.": "astronomy",
    "A comet will be visible in the night sky.": "astronomy",
    "The galaxy is two million light years away.": "astronomy",
    "Astronauts repaired the space station.": "astronomy",
    "Interest rates rose again in March.": "finance",
    "The bank's shares fell after weak earnings.": "finance",
    "Investors bought bonds as inflation slowed.": "finance",
    "The startup raised money from venture funds.": "finance",
}
LABELS = sorted(set(TEXTS.values()))


@pytest.fixture(scope="module", params=[pytest.param("openvino", marks=pytest.mark.slow), "transformers"])
def server(request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    with serving(manifest.load(MODEL), request.param) as address:
        yield LiveServer(address, request.param)


def test_twenty_texts_get_the_right_labels(server: LiveServer) -> None:
    output = server.predict(texts=list(TEXTS), labels=LABELS)["output"]
    assert [scores[0]["label"] for scores in output] == list(TEXTS.values())
    for scores in output:
        assert [one["score"] for one in scores] == sorted((one["score"] for one in scores), reverse=True)
        assert sum(one["score"] for one in scores) == pytest.approx(1, abs=1e-4)


def test_the_examples_of_the_manifest_meet_their_expectations(server: LiveServer) -> None:
    for example in manifest.load(MODEL).examples:
        prediction = server.predict(**example.input)
        assert example.expect.failures(prediction["output"], prediction["metrics"]) == []


def test_bad_labels_are_refused_and_the_server_keeps_working(server: LiveServer) -> None:
    answer = server.post(text="a", labels=["b", "b"]).json()
    assert (answer["status"], "label 2 is 'b' again: send each label once" in answer["error"]) == ("failed", True)
    assert server.predict(text="a", labels=["b"], top_k=1)["output"] == [[{"label": "b", "score": 1.0}]]
