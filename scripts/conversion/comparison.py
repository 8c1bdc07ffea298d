"""Checks that OpenVINO GenAI computes the same as a converted model's source, before the files get their final name.

It runs the pipeline that serves, with its paged attention and sliding windows, in float32 as far as the weights allow.
"""

import json
from pathlib import Path
from typing import Any

from models.errors import EngineError

REFERENCE = "reference.json"
"""The converter writes it beside the model: `token_ids` of a text, and the source's `log_probabilities` of each token
but the first, given those before it, computed in float32."""
BOUNDS = {"float16": 0.02, "int8": 0.2, "int4": 1.0}
"""The largest allowed mean absolute difference of (natural) log-probabilities, by the weights' number format.

SmolLM2 135M, a small model that suffers from rounding, has 0.0001, 0.07 and 0.63; files of another model differ by
several units.
"""
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
"""Properties of a pipeline that rounds only the weights."""

_PAGE_TOKENS = 32


def check(folder: Path, dtype: str) -> float:
    """Compare, remove the reference, and return the mean difference of the log-probabilities.

    Raises:
        EngineError: the difference exceeds the format's bound; names both.
    """
    import numpy

    reference = json.loads((folder / REFERENCE).read_text(encoding="utf-8"))
    (folder / REFERENCE).unlink()
    computed = _log_probabilities(folder, reference["token_ids"])
    difference = float(numpy.abs(computed - numpy.array(reference["log_probabilities"])).mean())
    if not difference <= BOUNDS[dtype]:  # also refuses NaN
        raise EngineError(
            f"openvino does not compute this model correctly in {dtype}: log-probabilities differ by {difference:.3f} "
            f"on average, over the limit of {BOUNDS[dtype]}: set another dtype, or transformers, under `engines` in "
            "the manifest"
        )
    return difference


def _log_probabilities(folder: Path, token_ids: list[int]) -> Any:
    """The log-probability of each token but the first, given those before it: float32[tokens - 1]."""
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
