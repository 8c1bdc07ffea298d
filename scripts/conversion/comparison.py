"""Whether OpenVINO GenAI computes what a converted model's source does: refused before its files get their name.

The pipeline that serves is run, with its paged attention and sliding windows, in float32 as far as the weights allow.
"""

import json
from pathlib import Path
from typing import Any

from models.errors import EngineError

REFERENCE = "reference.json"
"""What the converter leaves beside the model: `token_ids` of a text, and the `log_probabilities` that the source gives
all of them but the first, each after those before it, computed in float32."""
BOUNDS = {"float16": 0.02, "int8": 0.2, "int4": 1.0}
"""The most that log-probabilities (natural) may differ, the mean of their sizes, by the weights' number format.

SmolLM2 135M, so small that rounding shows, has 0.0001, 0.07 and 0.63; another model's files differ by some units.
"""
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
"""Properties of a pipeline that rounds nothing but the weights."""

_PAGE_TOKENS = 32


def check(folder: Path, dtype: str) -> float:
    """Compare, remove the reference, and return the mean difference of the log-probabilities.

    Raises:
        EngineError: it is larger than the format's bound; says both.
    """
    import numpy

    reference = json.loads((folder / REFERENCE).read_text(encoding="utf-8"))
    (folder / REFERENCE).unlink()
    computed = _log_probabilities(folder, reference["token_ids"])
    difference = float(numpy.abs(computed - numpy.array(reference["log_probabilities"])).mean())
    if not difference <= BOUNDS[dtype]:  # not a number either
        raise EngineError(
            f"openvino computes another model in {dtype}: log-probabilities differ by {difference:.3f} on average, "
            f"and {BOUNDS[dtype]} may be: set another dtype, or transformers, under `engines` in the manifest"
        )
    return difference


def _log_probabilities(folder: Path, token_ids: list[int]) -> Any:
    """Of each token but the first, after those before it: float32[tokens - 1]."""
    import numpy
    import openvino
    import openvino_genai

    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = len(token_ids) // _PAGE_TOKENS + 2
    pipeline = openvino_genai.ContinuousBatchingPipeline(str(folder), scheduler, "CPU", EXACT)
    config = openvino_genai.GenerationConfig(max_new_tokens=1, ignore_eos=True, echo=True, logprobs=1)
    handle = pipeline.add_request(0, openvino.Tensor(numpy.array([token_ids])), config)
    while pipeline.has_non_finished_requests():
        pipeline.step()
    (output,) = handle.read().values()
    return numpy.array(output.generated_log_probs[1 : len(token_ids)], dtype=numpy.float32)
