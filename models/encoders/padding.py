"""A batch of texts as the arrays that an encoder reads."""

from collections.abc import Sequence
from typing import Any

from models.encoders.tokens import Tokens


def padded(batch: Sequence[Tokens], pad_id: int, multiple: int = 1) -> dict[str, Any]:
    """`input_ids`, `attention_mask` and `token_type_ids`, each int64[texts, tokens], padded on the right.

    `multiple`: the number of tokens is padded to a multiple of it.
    """
    import numpy

    longest = max(len(one.ids) for one in batch)
    shape = (len(batch), -(-longest // multiple) * multiple)
    ids = numpy.full(shape, pad_id, dtype=numpy.int64)
    mask, types = numpy.zeros(shape, dtype=numpy.int64), numpy.zeros(shape, dtype=numpy.int64)
    for row, one in enumerate(batch):
        ids[row, : len(one.ids)] = one.ids
        mask[row, : len(one.ids)] = 1
        types[row, : len(one.ids)] = one.types
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
