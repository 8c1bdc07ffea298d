"""Weights in 8 or 4 bits on transformers: bitsandbytes rounds them while they are loaded.

https://huggingface.co/docs/transformers/quantization/bitsandbytes
"""

import logging
from typing import Any, Literal


def options(quantisation: Literal["int8", "int4"] | None, dtype: Any) -> dict[str, Any]:
    """The options of from_pretrained; `dtype`: the number format of the computation.

    int4 is NF4 with a scale for every 64 values (https://arxiv.org/abs/2305.14314). int8 does not separate outliers,
    because which ones there are depends on the values, and a CUDA graph cannot depend on values.
    """
    if quantisation is None:
        return {"dtype": dtype}
    import transformers

    # It warns at every matrix multiplication that it computes in float16.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    if quantisation == "int8":
        config = transformers.BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=0.0)
    else:
        config = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
        )
    return {"dtype": dtype, "quantization_config": config}
