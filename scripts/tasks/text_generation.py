"""Text generation: what the tools need to know."""

import itertools
import json
import random
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from math import ceil
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from models.cancellation import Cancellation
from models.engine import Device
from models.errors import InputError
from models.facts import Facts
from models.manifest import PROJECT, selected_as
from models.tasks import text_generation
from models.tasks.text_generation import engines, suitability
from models.tasks.text_generation.engines.interface import Engine, Generation, Logits, Sampling
from models.tasks.text_generation.manifest import EngineChoice, Manifest
from models.tasks.text_generation.model_text import ModelText
from models.weights.lock import Lock
from scripts.benchmark import llama_cpp
from scripts.benchmark.load import Inputs, Load, Prediction, Sample, summed
from scripts.benchmark.report import TARGETS as FOR_EVERY_TASK
from scripts.benchmark.report import Target, faithfulness_ratio, jitter, memory, ratio, start_ratio
from scripts.evaluation.task import Evaluation, Kind, Line, Measure
from scripts.lookup.repository import Repository
from scripts.tasks import text_generation_faithfulness

LIMITS = {"max_tokens": 2}
"""Inputs whose high values take minutes, with the highest value that a fuzz case lets run to its end."""
SIZES = {"input_tokens": "input_token_count", "output_tokens": "output_token_count"}
"""The metric with each size of a prediction."""
BASELINE = "benchmarks/baseline/predict.py"
"""A file with the class `Baseline`, which runs the same weights with transformers; `make bench` compares with it."""
PEER = llama_cpp
"""Another library on the same weights, if they are in its format."""
FAITHFULNESS = text_generation_faithfulness.in_own_process
"""Measures how faithful an engine is to float32."""
REFUSED: list[dict[str, Any]] = [
    {"max_tokens": 5},
    {"prompt": "Hi", "stop": [""]},
    {"prompt": "word " * 20000},
]
"""Inputs that the schema allows and the model refuses."""
TARGETS = [
    *FOR_EVERY_TASK,
    Target("tokens a second, 1 stream, against the baseline", 3, "times", True, ratio("server", "baseline", 1)),
    Target("total, 8 streams, against the baseline", 17, "times", True, ratio("server", "baseline", 8)),
    Target("total, 16 streams, against the baseline", 25, "times", True, ratio("server", "baseline", 16)),
    Target("process start to first token, against the baseline", 0.5, "times", False, start_ratio),
    Target("p99 of the gap between a stream's pieces against its median, 8 streams", 4, "times", False, jitter),
    Target("the engine against llama.cpp, 1 stream", 1, "times", True, ratio("engine", "peer", 1)),
    Target("the engine against llama.cpp, 8 streams", 2, "times", True, ratio("engine", "peer", 8)),
    Target("the engine against llama.cpp, 16 streams", 2, "times", True, ratio("engine", "peer", 16)),
    Target("answers as in float32, against bfloat16 in transformers", 1, "times", True, faithfulness_ratio("same")),
    Target("divergence, against bfloat16 in transformers", 1, "times", False, faithfulness_ratio("divergence")),
    Target("peak resident memory of the server, 16 streams", 1, "GB", False, memory),
]
"""The targets for a benchmark of the default model."""
_OUTPUT_TOKENS = 128
_CONTEXT = 8192
_LENGTHS = list(itertools.product((12, 100, 300), (8, 64, 192)))  # words of a prompt, tokens of its output
_Text = Annotated[str, Field(pattern=r"\S")]
_GREEDY = {"temperature": 0}
"""The default for lines: the most likely answer, which is always the same."""


def suits(found: Repository) -> bool:
    """Whether it is a decoder: a GGUF, or by the class of transformers in config.json."""
    return bool(found.ggufs) or any(
        name.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")) for name in found.architectures
    )


STARTERS: list[tuple[str, dict[str, Any]]] = [
    ("a question", {"prompt": "What is the capital of France?", "temperature": 0, "max_tokens": 24}),
    ("a raw completion", {"prompt": "Water boils at 100 degrees", "raw": True, "temperature": 0, "max_tokens": 8}),
    ("counting", {"prompt": "1, 2, 3, 4, 5,", "raw": True, "temperature": 0, "max_tokens": 12}),
]
_FIRST_WORDS = re.compile(r"\S+(\s+\S+){0,2}")


def expectation(output: Any, metrics: dict[str, Any]) -> dict[str, Any]:
    """The first words, because other hardware may continue differently, and the highest number of tokens."""
    first = _FIRST_WORDS.search("".join(map(str, output)))
    kept = {"contains": [first.group()]} if first else {}
    return kept | {"max_output_tokens": max(1, metrics["output_token_count"])}


def engine_keys(facts: Facts, device: Device) -> dict[str, Any]:
    """A key-value cache for one full context of up to 8,192 tokens on a CPU, and for eight on a GPU."""
    known = Manifest.keys_of(facts)
    architecture, context = known["architecture"], known["context_length"]
    if architecture is None or context is None:
        return {"cache_gb": 1}
    contexts = 8 if device == "cuda" else 1
    need = architecture.cache_bytes_per_token(2) * contexts * min(context, _CONTEXT) / 2**30
    return {"cache_gb": max(0.01, ceil(need * 110) / 100)}


def load(model: Manifest) -> Load:
    """The same work for every subject: greedy, to the full length, and no prompt twice, because it could be cached."""
    inputs = [inputs_of(prompt) for prompt in prompts()]
    return Load(inputs, streams=True, may_repeat=False, each=1, sizes=SIZES, unit="tokens", counted="output_tokens")


def prompts() -> list[str]:
    """The benchmark's prompts, 32 tokens each; all begin differently, so that no cached prefix helps another."""
    texts: list[str] = json.loads((PROJECT / "benchmarks" / "prompts.json").read_text(encoding="utf-8"))
    return texts


def inputs_of(prompt: str, output_tokens: int = _OUTPUT_TOKENS) -> dict[str, Any]:
    """Inputs for a greedy prediction of the full length, unless the model ends sooner."""
    return {"prompt": prompt, "raw": True, "temperature": 0, "max_tokens": output_tokens}


def sweep(model: Manifest) -> list[Iterator[dict[str, Any]]]:
    """Endless inputs for each pair of lengths; all begin differently."""
    words = (PROJECT / "benchmarks" / "alice.txt").read_text(encoding="utf-8").split()
    starts = itertools.cycle(range(len(words)))

    def of_length(count: int, tokens: int) -> Iterator[dict[str, Any]]:
        for first in starts:
            text = words[first:] + words * (count // len(words)) + words[:first]
            yield inputs_of(" ".join(text[:count]), tokens)

    return [of_length(count, tokens) for count, tokens in _LENGTHS]


def varied(model: Manifest, choices: random.Random) -> dict[str, Any]:
    """An input of the soak test: answers of every length and temperature, some ended by a stop string."""
    return inputs_of(choices.choice(prompts()), choices.choice([1, 5, 20, 60, 150, 300])) | {
        "temperature": choices.choice([0, 0.7, 1.5]),
        "stop": choices.choice([["the end"], ["."], ["\n\n\n"]]),
    }


def check_weights(model: Manifest, lock: Lock) -> None:
    """Refuse weights that an engine of the manifest cannot run, before they are downloaded.

    Raises:
        EngineError: names the engine and the edit that works.
    """
    suitability.check(model, lock.facts, lock.files)


def cache_bytes_per_token(model: Manifest, bytes_per_value: float) -> float:
    """Bytes of a token in the key-value cache, which each step reads."""
    return model.cache_bytes_per_token(bytes_per_value)


def load_engine(model: Manifest, choice: EngineChoice, folder: Path) -> Engine:
    """The engine with its weights, loaded as in setup."""
    return engines.load(model, choice, folder)


def bare_engine() -> Callable[[Sequence[Inputs]], Sample]:
    """Load the engine; returns a function that runs the benchmark's inputs on it."""
    model = selected_as(Manifest)
    engine = engines.start(model)
    text = ModelText(engine.folder, model)

    def run(inputs: Sequence[Inputs]) -> Sample:
        sampling = Sampling(_OUTPUT_TOKENS, 0, 1, 0, 1, 0, text.end_ids)
        generations = [Generation(text.raw_ids(one["prompt"]), sampling) for one in inputs]
        started = time.perf_counter()
        for generation in generations:
            engine.submit(generation)
        with ThreadPoolExecutor(len(generations)) as pool:
            predictions = list(pool.map(partial(_read, started=started), generations))
        return summed(predictions, time.perf_counter() - started, "output_tokens")

    return run


def _read(generation: Generation, started: float) -> Prediction:
    found, tokens = Prediction(), 0
    for token_ids in generation:
        now = time.perf_counter() - started
        found.first = found.first or now
        found.arrivals.append(now)
        tokens += len(token_ids)
    found.sizes = {"input_tokens": len(generation.prompt_ids), "output_tokens": tokens}
    return found


def python_example(model: Manifest, repository: str, inputs: dict[str, Any]) -> tuple[str, str] | None:
    """A library, and code that sends the prompt to the weights of a repository or a folder; None without a prompt."""
    if not (prompt := inputs.get("prompt")):
        return None
    prompts = [("system", model.system_prompt), ("user", prompt)]
    turns = "\n".join(f'    {{"role": "{role}", "content": {_quoted(text)}}},' for role, text in prompts if text)
    sampling = "do_sample=False" if inputs.get("temperature") == 0 else "do_sample=True"
    code = f"""from transformers import pipeline

generate = pipeline("text-generation", model={_quoted(repository)})
messages = [
{turns}
]
answer = generate(messages, max_new_tokens={inputs.get("max_tokens", 64)}, {sampling})
print(answer[0]["generated_text"][-1]["content"])"""
    return "transformers", code


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@contextmanager
def _measures(model: Manifest, kinds: Collection[Kind], stop: Cancellation) -> Iterator[Mapping[Kind, Measure]]:
    loaded = text_generation.load()
    measures: dict[Kind, Measure] = {"output": lambda line: _output(loaded, line, stop)}
    try:
        if "likelihood" in kinds:
            measures["likelihood"] = _Likelihood(loaded, engines.logits(model))
        yield measures
    finally:
        loaded.engine.stop()


def _request(line: Line) -> text_generation.Request:
    return text_generation.Request(**{**line.defaults, **_GREEDY, **line.input})


def _output(model: text_generation.TextGeneration, line: Line, stop: Cancellation) -> str:
    """The complete text, as a caller gets it."""
    return "".join(model.generate(_request(line), stop, lambda name, value: None))


class _Likelihood:
    """The likelihood of the expected text (the first one, if there are several) after the prompt."""

    def __init__(self, model: text_generation.TextGeneration, logits: Logits) -> None:
        self._model, self._logits = model, logits
        self._one_at_a_time = threading.Lock()

    def __call__(self, line: Line) -> dict[str, float]:
        import numpy

        text = line.expected if isinstance(line.expected, str) else line.expected[0]
        prompt_ids, token_ids = self._token_ids(_request(line), text)
        with self._one_at_a_time:
            logits = self._logits(token_ids)[len(prompt_ids) - 1 : -1]
        chosen = logits[numpy.arange(len(logits)), token_ids[len(prompt_ids) :]]
        log_probabilities = chosen - numpy.logaddexp.reduce(logits, axis=-1)
        return {
            "log_probability": float(log_probabilities.sum()),
            "tokens": len(logits),
            "bytes": len(text.encode()),
        }

    def _token_ids(self, request: text_generation.Request, text: str) -> tuple[list[int], list[int]]:
        """The tokens of the prompt, and of prompt and text; a raw prompt and its text are tokenised together."""
        prompt_ids = self._model.prompt_ids(request)
        if request.raw:
            token_ids = self._model.text.raw_ids(f"{request.prompt}{text}")
            pairs = zip(prompt_ids, token_ids, strict=False)
            same = next((at for at, (one, other) in enumerate(pairs) if one != other), len(prompt_ids))
            prompt_ids = token_ids[:same]
        else:
            token_ids = [*prompt_ids, *self._model.text.tokenizer.encode(text)]
        if not 0 < len(prompt_ids) < len(token_ids) <= self._model.context_length:
            raise InputError(
                f"prompt and expected text have {len(token_ids)} tokens together: neither may be empty, and at most "
                f"{self._model.context_length} are allowed"
            )
        return prompt_ids, token_ids


EVALUATION = Evaluation(
    metrics=(
        "exact_match",
        "includes",
        "f1",
        "rouge1",
        "rouge2",
        "rougeL",
        "wer",
        "cer",
        "perplexity",
        "bits_per_byte",
    ),
    usual=("exact_match",),
    expected=_Text | Annotated[list[_Text], Field(min_length=1)],
    expected_is="a text that is not empty, or a list of such texts, any of which is right",
    measures=_measures,
)
