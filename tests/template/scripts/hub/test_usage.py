"""The card's examples of use, each run unchanged; tests/template/container/test_readme.py runs the container's."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from models import manifest, runtimes, weights
from scripts import tasks
from scripts.contract import schema
from scripts.conversion.weights import ensure
from scripts.hub import usage
from tests.commands import succeed
from tests.services.node import clients_in
from tests.services.replicate_prediction import Prediction
from tests.services.scripted_replicate import ScriptedReplicate
from tests.template.server.live_server import LiveServer
from tests.tiny_encoders import bert

MODEL = manifest.load("smollm2-135m-instruct")
NAME = "acme/smollm2"


def code(title: str, model: manifest.Manifest = MODEL) -> str:
    """The code block with this title."""
    (found,) = [block.code for block in usage.blocks(model, NAME, NAME) if block.title.startswith(title)]
    return found


@pytest.mark.slow  # each in a process that imports torch
@pytest.mark.parametrize(
    ("slug", "title", "says"),
    [
        ("smollm2-135m-instruct", "Python, with transformers", "Paris"),
        ("all-minilm-l6-v2", "Python, with sentence-transformers", "(1, 64)"),
        ("all-minilm-l6-v2-zero-shot", "Python, with sentence-transformers", "{'sports': 0.8"),
    ],
)
def test_python_runs_the_weights_of_the_repository(slug: str, title: str, says: str, tmp_path: Path) -> None:
    """A folder with the repository's name stands for it. Most of the seconds are torch's import."""
    model = manifest.load(slug)
    (choice,) = [one for one in model.engines if (one.engine, one.device) == ("transformers", "cpu")]
    ensure(model, choice)
    (tmp_path / "acme").mkdir()
    (tmp_path / NAME).symlink_to(weights.folder(slug, runtimes.part_of(model, choice)))
    assert says in succeed(sys.executable, "-c", code(title, model), cwd=tmp_path, HF_HUB_OFFLINE="1")


@pytest.mark.parametrize(
    ("id2label", "results", "first"),
    [
        ({0: "dull", 1: "bright"}, {"text": "A sunny day."}, "[[{'label': "),
        (
            {0: "contradiction", 1: "entailment"},
            {"text": "A goal.", "labels": ["sports", "art"]},
            "{'sequence': 'A goal.'",
        ),
    ],
)
def test_a_classifier_of_either_kind_runs_with_transformers(
    id2label: dict[int, str], results: dict[str, Any], first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bert(tmp_path, id2label=id2label, label2id={label: number for number, label in id2label.items()})
    model = manifest.load("all-minilm-l6-v2-zero-shot")
    fields = {name: getattr(model, name) for name in model.model_fields_set - {"similarity"}}
    library, block = tasks.attribute(model, "python_example", None)(
        type(model).model_construct(**fields), str(folder), results
    )
    exec(block, {})
    assert library == "transformers"
    assert capsys.readouterr().out.startswith(first)


def test_the_curl_block_gets_the_server_s_response(server: LiveServer, tmp_path: Path) -> None:
    """Runs the block's last command against Cog's own server; another test runs the container."""
    ask = code("curl")[code("curl").rindex("curl ") :].replace("http://127.0.0.1:5000", server.address)
    answer = json.loads(succeed("sh", "-c", ask, cwd=tmp_path))
    assert answer["status"] == "succeeded"
    assert MODEL.examples[0].expect.failures(answer["output"], answer["metrics"]) == []


def writes(prediction: Prediction) -> None:
    """Returns its input, in two pieces."""
    prediction.start()
    for piece in ("said: ", json.dumps(prediction.as_json()["input"], sort_keys=True)):
        prediction.add_output(piece)
    prediction.end("succeeded")


@pytest.fixture
def service(service: ScriptedReplicate) -> ScriptedReplicate:
    """Replicate with two versions of the model, whose input is the card's."""
    document = schema.generate("TextGeneration")
    service.add_model(NAME, document, document)
    service.script = writes
    return service


SAID = "said: " + json.dumps(usage.example_input(MODEL), sort_keys=True)


def test_the_python_client_streams_from_the_newest_version(service: ScriptedReplicate, tmp_path: Path) -> None:
    assert succeed(sys.executable, "-c", code("Python, on Replicate"), cwd=tmp_path) == SAID
    (prediction,) = service.predictions.values()
    assert prediction.version is service.models[NAME].repository.versions[-1]


@pytest.mark.slow
def test_the_javascript_client_streams_from_the_newest_version(service: ScriptedReplicate, tmp_path: Path) -> None:
    folder = clients_in(tmp_path)
    (folder / "card.mjs").write_text(code("JavaScript"))
    assert succeed("node", "--import", "./local_replicate.mjs", "card.mjs", cwd=folder) == SAID


def test_without_a_model_on_replicate_there_is_no_block_for_it() -> None:
    titles = [block.title for block in usage.blocks(MODEL, NAME, None)]
    assert not [title for title in titles if "Replicate" in title]
    assert len(titles) == 3


def test_weights_that_are_not_public_have_no_transformers_block() -> None:
    closed = MODEL.model_copy(update={"release": MODEL.release.model_copy(update={"tier": "api-only"})})  # type: ignore[union-attr]
    assert not [block for block in usage.blocks(closed, NAME, None) if "transformers" in block.code]


def test_text_with_any_characters_arrives_unchanged(tmp_path: Path) -> None:
    """Quotes, dollars, backslashes and Japanese, in every language of the card."""
    text = 'It\'s "50 $HOME" \\n `x`, と'
    example = MODEL.examples[0].model_copy(update={"input": {"prompt": text, "raw": True}})
    model = MODEL.model_copy(update={"examples": [example, *MODEL.examples[1:]]})
    shown = code("In a container", model).splitlines()[-1]
    assert succeed("sh", "-c", f"printf '%s|' {shown}", cwd=tmp_path) == f"-i|prompt={text}|-i|raw=true|"
    body = code("curl", model).splitlines()[-1].rpartition(" -d ")[2]
    assert json.loads(succeed("sh", "-c", f"printf %s {body}", cwd=tmp_path)) == {
        "input": {"prompt": text, "raw": True}
    }
    line = next(line for line in code("Python, on", model).splitlines() if line.startswith("inputs"))
    assert eval(line.removeprefix("inputs = ")) == {"prompt": text, "raw": True}
    compile(code("Python, with transformers", model), "card", "exec")
