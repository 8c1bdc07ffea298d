"""Text embedding: what the tools need to know."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from models import encoders
from models.cancellation import Cancellation
from models.encoders.sentences import SentenceEncoder
from models.manifest import Manifest, selected_as
from models.tasks import text_embedding
from models.tasks.text_embedding import manifest
from scripts.benchmark.load import Inputs, Load, Prediction, Sample, summed
from scripts.evaluation.task import Evaluation, Kind, Line, Measure
from scripts.lookup.repository import Repository
from scripts.tasks import of_encoders

PIPELINE_TAG = "feature-extraction"
"""The Hub's name of the task."""
SIZES = {"texts": "text_count", "input_tokens": "input_token_count"}
"""The metric with each size of a prediction."""
REFUSED: list[dict[str, Any]] = [
    {},
    {"texts": []},
    {"text": "Hi", "texts": ["Hi"]},
    {"text": "Hi", "dimensions": 65536},
]
"""Inputs that the schema allows and the model refuses."""
CONVERTED_AS, TARGETS = of_encoders.CONVERTED_AS, of_encoders.TARGETS
check_weights, load_engine = of_encoders.check_weights, of_encoders.load_engine


def suits(found: Repository) -> bool:
    """Whether it is an encoder: saved by sentence-transformers, or tagged as one."""
    encoders = [name for name in found.architectures if name.endswith(("Model", "ForMaskedLM"))]
    is_encoder = any(not name.endswith("LMHeadModel") for name in encoders)
    return is_encoder and (
        "modules.json" in found.names or found.pipeline_tag in ("feature-extraction", "", "fill-mask")
    )


STARTERS: list[tuple[str, dict[str, Any]]] = [
    (
        "like means near",
        {"texts": ["The cat sleeps on the sofa.", "A kitten naps there.", "Rates rose again."]},
    ),
    ("a question and two passages", {"texts": ["How do I reset my password?", "Click on reset.", "We are sold out."]}),
    ("one text", {"text": "Why is the sea salty?"}),
]


def expectation(output: Any, metrics: dict[str, Any]) -> dict[str, Any]:
    """The number of vectors, their dimensions, and which one is nearest to the first."""
    vectors = output["embeddings"]
    near = [sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:]]
    nearest = {"nearest": [{"of": 0, "to": 1 + near.index(max(near))}]} if near else {}
    return {"count": len(vectors), "dimensions": len(vectors[0])} | nearest


def load(model: Manifest) -> Load:
    """One sentence for each call."""
    return of_encoders.load(SIZES, {})


def sweep(model: Manifest) -> list[Iterator[dict[str, Any]]]:
    """Endless inputs for each number of texts and of words in them."""
    return of_encoders.sweep({})


def varied(model: Manifest, choices: random.Random) -> dict[str, Any]:
    """An input of the soak test: one or several texts, short and long, with vectors as JSON or as a file."""
    return of_encoders.varied(choices) | {"output_format": choices.choice(["json", "npy"])}


def bare_engine() -> Callable[[Sequence[Inputs]], Sample]:
    """Load the engine; returns a function that runs the texts of all streams as one batch, repeatedly."""
    model = selected_as(manifest.Manifest)
    sentences = SentenceEncoder(encoders.start(model), model.max_tokens)

    def run(inputs: Sequence[Inputs]) -> Sample:
        given = [one["text"] for one in inputs]
        started, predictions = time.perf_counter(), []
        for _ in range(of_encoders.EACH):
            begun = time.perf_counter()
            tokens = sentences.tokenizer.encode(given, "texts", cuts=True)
            sentences.run(tokens)
            took = time.perf_counter() - begun
            sizes = [{"texts": 1.0, "input_tokens": float(len(one.ids))} for one in tokens]
            predictions += [Prediction(took, [], size) for size in sizes]
        return summed(predictions, time.perf_counter() - started, "texts")

    return run


def python_example(model: Manifest, repository: str, inputs: dict[str, Any]) -> tuple[str, str]:
    """A library, and code that gets the same vectors from the weights of a repository or a folder."""
    asked = json.dumps(inputs.get("texts") or [inputs.get("text")], ensure_ascii=False)
    size = f", truncate_dim={inputs['dimensions']}" if inputs.get("dimensions") else ""
    code = f"""from sentence_transformers import SentenceTransformer

model = SentenceTransformer({json.dumps(repository)}{size})
vectors = model.encode({asked})
print(vectors.shape)"""
    return "sentence-transformers", code


@contextmanager
def _measures(model: Manifest, kinds: Collection[Kind], stop: Cancellation) -> Iterator[Mapping[Kind, Measure]]:
    loaded = text_embedding.load()
    yield {"output": lambda line: asyncio.run(_similarities(loaded, line))}


async def _similarities(model: text_embedding.TextEmbedding, line: Line) -> list[float]:
    """The cosine similarity of the first text to each other one: a query and passages, unless a line says otherwise."""
    first, *others = line.input["texts"]
    query = await _vectors(model, line, [first], "query")
    passages = await _vectors(model, line, others, "passage")
    return [round(float(one), 6) for one in passages @ query[0]]


async def _vectors(model: text_embedding.TextEmbedding, line: Line, texts: list[str], kind: str) -> Any:
    import numpy

    asked = {**line.defaults, "input_type": kind, **line.input, "texts": texts, "normalize": True}
    embedded = await model.embed(text_embedding.Request(**asked), lambda name, value: None)
    return numpy.array(embedded.embeddings)


EVALUATION = Evaluation(
    metrics=("spearman", "accuracy_at_1", "ndcg_at_10"),
    usual=("accuracy_at_1", "ndcg_at_10"),
    expected=float | list[int],
    expected_is="the similarity of two texts, a number; or the positions (from 0) of passages that answer a query",
    measures=_measures,
)
