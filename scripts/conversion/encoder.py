"""Text encoders for OpenVINO: exported in the converter's environment, then compared with their source in ours.

https://huggingface.co/docs/optimum-intel/openvino/export
"""

import json
from pathlib import Path
from typing import Any

from models.encoders import checkpoint
from models.encoders.openvino import OpenVinoEncoder
from models.encoders.tokens import Tokenizer, Tokens
from models.engine import Dtype, EngineChoice
from models.errors import EngineError
from models.json_files import read_json
from scripts.conversion.comparison import REFERENCE

BOUNDS = {"float32": 0.0001, "float16": 0.005, "int8": 0.1, "int4": 0.5}
"""The largest allowed relative difference: the norm of the difference over that of the output, by number format.

all-MiniLM-L6-v2 has 0.000002, 0.0006, 0.02 and 0.2; files of another model differ by several units.
"""
ROUNDING = 0.1
"""How much more it may be in the number format in which this processor serves the model; bfloat16 adds 0.01 to 0.04.

Weights in float32 are served in float32, which adds nothing.
"""
_TEXTS = (
    "The sea is salty because rivers carry dissolved minerals from the land into it, and have done so for ages.",
    "Le sel de la mer; das Salz des Meeres; 海の塩。",
    "No.",
)


def export(source: Path, folder: Path) -> None:
    """Convert the safetensors in `source` to OpenVINO's model in float32, and write the reference beside it.

    `folder` must already have the tokenizer.

    Raises:
        EngineError, WeightsError: the source is not a complete model, or has no tokenizer.
    """
    import torch
    from optimum.exporters.openvino.convert import export_from_model
    from optimum.intel import OVConfig

    model = checkpoint.load(source, dtype=torch.float32).eval()
    texts = Tokenizer(folder, None).encode(_TEXTS, "texts", cuts=True)
    with torch.no_grad():
        computed = [checkpoint.output(model(torch.tensor([one.ids])))[0].tolist() for one in texts]
    reference = {"ids": [one.ids for one in texts], "outputs": computed}
    (folder / REFERENCE).write_text(json.dumps(reference), encoding="utf-8")
    task = "text-classification" if checkpoint.is_classifier(source) else "feature-extraction"
    export_from_model(model, folder, task=task, ov_config=OVConfig(dtype="fp32"))


def check(folder: Path, dtype: Dtype) -> float:
    """Compare in float32 and as it is served, remove the reference, and return the largest difference in float32.

    Raises:
        EngineError: a difference exceeds the format's bound; names both.
    """
    reference = read_json(folder / REFERENCE)
    (folder / REFERENCE).unlink()
    difference = _compare(folder, reference, dtype, BOUNDS[dtype], exactly=True)
    rounding = 0 if dtype == "float32" else ROUNDING
    _compare(folder, reference, dtype, BOUNDS[dtype] + rounding, exactly=False)
    return difference


def _compare(folder: Path, reference: dict[str, Any], dtype: Dtype, limit: float, exactly: bool) -> float:
    encoder = OpenVinoEncoder(EngineChoice(engine="openvino", device="cpu", dtype=dtype), folder, exactly)
    difference = max(map(lambda ids, output: _difference(encoder, ids, output), *reference.values()))
    if not difference <= limit:  # also refuses NaN
        raise EngineError(
            f"openvino does not compute this model correctly in {dtype}: its output differs by {difference:.2g} of its "
            f"norm, over the limit of {limit} (computed in {encoder.dtype}): set another dtype, or transformers, under "
            "`engines` in the manifest"
        )
    return difference


def _difference(encoder: OpenVinoEncoder, ids: list[int], output: Any) -> float:
    import numpy

    computed, expected = encoder.run([Tokens(ids, [0] * len(ids))])[0], numpy.array(output)
    return float(numpy.linalg.norm(computed[: len(expected)] - expected) / numpy.linalg.norm(expected))
