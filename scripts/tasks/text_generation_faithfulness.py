"""python -m scripts.tasks.text_generation_faithfulness [EVERY]

How faithful a language model's engine is to float32 on the short questions of benchmarks/chat-prompts.txt, and how
faithful transformers in bfloat16 is on the same; prints one JSON line. EVERY 3 asks a third of them. For each:

- `same`: the share of answers at temperature 0 whose first 24 tokens are those of float32;
- `divergence`: the Kullback-Leibler divergence of the first token's distribution from float32's, in nats, on average.
"""

import importlib.util
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from models import weights
from models.manifest import PROJECT, selected_as
from models.runtimes import checkpoint
from models.runtimes.gguf import to_safetensors
from models.tasks.text_generation import engines
from models.tasks.text_generation.engines.interface import Generation, Sampling
from models.tasks.text_generation.manifest import Manifest
from models.tasks.text_generation.model_text import ModelText
from models.weights import gguf_format

PROMPTS = PROJECT / "benchmarks" / "chat-prompts.txt"
TOKENS = 24
_AT_ONCE = 16


@dataclass
class Answers:
    """The first tokens of each answer, and the logits of its first token: float32[prompts, vocabulary]."""

    tokens: list[list[int]]
    logits: Any


def main(argv: list[str]) -> int:
    with redirect_stdout(sys.stderr):
        found = measured(prompts()[:: int(argv[0]) if argv else 1])
    print(json.dumps(found), flush=True)
    os._exit(0)  # without waiting for the engine's thread


def in_own_process(model: Manifest, engine: str, every: int = 1) -> dict[str, Any]:
    """The output of this command in a process of its own; empty without transformers, which computes in float32."""
    if importlib.util.find_spec("transformers") is None:
        return {}
    environment = os.environ | {"MODEL": model.slug, "ENGINE": engine}
    command = [sys.executable, "-m", __name__, str(every)]
    done = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def prompts() -> list[str]:
    """The questions, one a line."""
    return PROMPTS.read_text(encoding="utf-8").splitlines()


def measured(questions: Sequence[str]) -> dict[str, Any]:
    """The engine that the model is served with and transformers in bfloat16, both against float32."""
    import torch

    model = selected_as(Manifest)
    engine = engines.start(model)
    text = ModelText(engine.folder, model)
    asked = [text.chat_ids([{"role": "user", "content": one}], None, {}, "prompt") for one in questions]
    served = _of_engine(engine, engines.logits(model), asked, text.end_ids)
    reference = _float32(model)
    expected = _of_transformers(reference, asked, text.end_ids)
    for weight in reference.parameters():  # rotary frequencies are no weights, and stay as they are
        weight.data = weight.data.to(torch.bfloat16)
    rounded = _of_transformers(reference, asked, text.end_ids)
    return {
        "prompts": len(asked),
        "tokens": TOKENS,
        "engine": compared(served, expected),
        "bfloat16": compared(rounded, expected),
    }


def compared(found: Answers, expected: Answers) -> dict[str, float]:
    """The share of answers that begin with the same tokens, and the mean divergence of the first token."""
    import numpy

    same = [ours == theirs for ours, theirs in zip(found.tokens, expected.tokens, strict=True)]
    ours, theirs = _log_probabilities(found.logits), _log_probabilities(expected.logits)
    divergences = (numpy.exp(theirs) * (theirs - ours)).sum(axis=-1)
    return {"same": round(sum(same) / len(same), 4), "divergence": round(float(divergences.mean()), 6)}


def _log_probabilities(logits: Any) -> Any:
    import numpy

    exact = logits.astype(numpy.float64)
    return exact - numpy.logaddexp.reduce(exact, axis=-1, keepdims=True)


def _of_engine(engine: Any, logits: Any, asked: list[list[int]], end_ids: frozenset[int]) -> Answers:
    import numpy

    sampling = Sampling(TOKENS, 0, 1, 0, 1, 0, end_ids)
    tokens = []
    for some in _batched(asked):
        generations = [Generation(one, sampling) for one in some]
        for generation in generations:
            engine.submit(generation)
        tokens += [list(itertools.chain.from_iterable(generation)) for generation in generations]
    return Answers(tokens, numpy.stack([logits(one)[-1] for one in asked]))


def _float32(model: Manifest) -> Any:
    """The downloaded weights in transformers."""
    import torch

    if weights.are_gguf(model):
        return to_safetensors.model(gguf_format.read(weights.gguf_file(model)))
    return checkpoint.load(weights.folder(model.slug, weights.SOURCE), dtype=torch.float32).eval()


def _of_transformers(model: Any, asked: list[list[int]], end_ids: frozenset[int]) -> Answers:
    """Greedy, several at once, padded on the left."""
    import numpy
    import torch

    tokens, logits = [], []
    for some in _batched(asked):
        width = max(map(len, some))
        padded = torch.tensor([[0] * (width - len(one)) + one for one in some])
        mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in some])
        made = model.generate(
            padded,
            attention_mask=mask,
            max_new_tokens=TOKENS,
            do_sample=False,
            eos_token_id=sorted(end_ids),
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
        )
        tokens += [_until_end(answer, end_ids) for answer in made.sequences[:, width:].tolist()]
        logits.append(made.logits[0].float().numpy())
    return Answers(tokens, numpy.concatenate(logits))


def _until_end(answer: list[int], end_ids: frozenset[int]) -> list[int]:
    return list(itertools.takewhile(lambda token_id: token_id not in end_ids, answer))


def _batched(asked: list[list[int]]) -> list[list[list[int]]]:
    return [asked[first : first + _AT_ONCE] for first in range(0, len(asked), _AT_ONCE)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
