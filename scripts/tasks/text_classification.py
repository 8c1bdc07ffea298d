"""Text classification: what the tools need to know."""

import asyncio
import json
import random
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from models.cancellation import Cancellation
from models.manifest import Manifest
from models.tasks import text_classification
from models.tasks.text_classification import manifest
from scripts.benchmark.load import Load
from scripts.evaluation.task import Evaluation, Kind, Line, Measure
from scripts.lookup.repository import Repository
from scripts.tasks import of_encoders

SIZES = {"texts": "text_count", "labels": "label_count", "input_tokens": "input_token_count"}
"""The metric with each size of a prediction."""
REFUSED: list[dict[str, Any]] = [
    {},
    {"texts": []},
    {"text": "Hi", "labels": ["a", "a"]},
    {"text": "Hi", "labels": [""]},
]
"""Inputs that the schema allows and the model refuses."""
CONVERTED_AS, TARGETS = of_encoders.CONVERTED_AS, of_encoders.TARGETS
check_weights, load_engine = of_encoders.check_weights, of_encoders.load_engine


def suits(found: Repository) -> bool:
    """Whether it is a sequence classifier, with labels of its own or of natural language inference."""
    return any(name.endswith("ForSequenceClassification") for name in found.architectures)


STARTERS: list[tuple[str, dict[str, Any]]] = [
    ("praise", {"text": "What a wonderful film, I laughed from the first minute to the last."}),
    ("a complaint", {"text": "It broke after a day, and nobody answers my letters."}),
    ("two texts", {"texts": ["I love this.", "I hate this."]}),
]


def expectation(output: Any, metrics: dict[str, Any]) -> dict[str, Any]:
    """The best label of each text."""
    return {"best": [scores[0]["label"] for scores in output]}


def load(model: Manifest) -> Load:
    """One sentence for each call, with the labels of the first example."""
    return of_encoders.load(SIZES, _labels(model))


def sweep(model: Manifest) -> list[Iterator[dict[str, Any]]]:
    """Endless inputs for each number of texts and of words in them."""
    return of_encoders.sweep(_labels(model))


def varied(model: Manifest, choices: random.Random) -> dict[str, Any]:
    """An input of the soak test: one or several texts, short and long."""
    return of_encoders.varied(choices) | _labels(model)


def python_example(model: manifest.Manifest, repository: str, inputs: dict[str, Any]) -> tuple[str, str]:
    """A library, and code that gets scores from the weights of a repository or a folder."""
    text = _quoted((inputs.get("texts") or [inputs.get("text")])[0])
    if not inputs.get("labels"):
        code = f"""from transformers import pipeline

classify = pipeline("text-classification", model={_quoted(repository)}, top_k=None)
print(classify({text}))"""
        return "transformers", code
    labels, template = (
        _quoted(inputs["labels"]),
        _quoted(inputs.get("hypothesis_template") or model.hypothesis_template),
    )
    if "similarity" not in model.model_fields_set:
        code = f"""from transformers import pipeline

classify = pipeline("zero-shot-classification", model={_quoted(repository)})
print(classify({text}, {labels}, hypothesis_template={template}))"""
        return "transformers", code
    code = f"""from sentence_transformers import SentenceTransformer

model = SentenceTransformer({_quoted(repository)})
text = {text}
labels = {labels}
hypotheses = [{template}.replace("{{}}", label) for label in labels]
likeness = model.similarity(model.encode(text), model.encode(hypotheses))[0]
print(dict(zip(labels, ({model.similarity.scale:g} * likeness).softmax(dim=0).tolist())))"""
    return "sentence-transformers", code


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _labels(model: Manifest) -> dict[str, Any]:
    return {name: value for name, value in model.examples[0].input.items() if name == "labels"}


@contextmanager
def _measures(model: Manifest, kinds: Collection[Kind], stop: Cancellation) -> Iterator[Mapping[Kind, Measure]]:
    loaded = text_classification.load()
    yield {"output": lambda line: asyncio.run(_label(loaded, line))}


async def _label(model: text_classification.TextClassification, line: Line) -> str:
    """The label with the highest score."""
    request = text_classification.Request(**{**line.defaults, **line.input})
    (scores,) = await model.classify(request, lambda name, value: None)
    return scores[0].label


EVALUATION = Evaluation(
    metrics=("accuracy", "macro_f1"),
    usual=("accuracy", "macro_f1"),
    expected=str,
    expected_is="the right label",
    measures=_measures,
)
