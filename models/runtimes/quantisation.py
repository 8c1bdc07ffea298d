"""Weights in 8 or 4 bits with transformers: bitsandbytes quantises them while they are loaded.

https://huggingface.co/docs/transformers/quantization/bitsandbytes
"""

import logging
from typing import Any, Literal

from models.errors import EngineError

_MOST_ABOVE = 1.25


def options(quantisation: Literal["int8", "int4"] | None, dtype: Any) -> dict[str, Any]:
    """The options of from_pretrained; `dtype`: the number format of the computation.

    int4 is NF4 with a scale for every 64 values (https://arxiv.org/abs/2305.14314). int8 does not separate outliers:
    their number depends on the values, and a CUDA graph cannot depend on values.
    """
    if quantisation is None:
        return {"dtype": dtype}
    import transformers

    # bitsandbytes warns at every matrix multiplication that it computes in float16.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    if quantisation == "int8":
        config = transformers.BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0)
    else:
        config = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
        )
    return {"dtype": dtype, "quantization_config": config}


def check(model: Any, expected_bytes: float) -> None:
    """Refuse a quantised model that is much larger than `expected_bytes`, as most of its weights were not quantised.

    bitsandbytes quantises only linear layers; the experts of a mixture are not such layers.

    Raises:
        EngineError: gives both sizes and the edit.
    """
    if (size := model.get_memory_footprint()) > _MOST_ABOVE * expected_bytes:
        raise EngineError(
            f"quantisation makes the weights of the architecture {model.config.model_type} {size / 1e9:.2f} GB, not "
            f"{expected_bytes / 1e9:.2f} GB, as it rounds only linear layers: leave out quantisation"
        )
