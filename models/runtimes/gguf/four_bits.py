"""Keeps matrices in the 4 bits that they have in a GGUF: the same values as in float16, in a third of the memory.

One prediction is then faster, as its time is that of reading the weights. Many at once are slower, as the plugin
expands the weights in every step; docs/performance.md has the numbers.
https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide/weight-compression.html
"""

from typing import Any

_GROUP = 32
_LEVELS = 16
_FIRST = 256  # groups, with which most other matrices are told at once
_LEAST = 2**-24  # float16 has no smaller value
_LARGEST_ERROR = 2**-9
"""Of a group's largest value, about as bfloat16 rounds. Measured: 2**-9.6 for 4 bits, 2**-4 for the next type, Q5_0."""


def expanded(values: Any) -> Any:
    """The operations with which the plugin expands 4 bits to a matrix; None if they do not give its values.

    They do if each group of 32 values in a row has at most 16 evenly spaced ones, as in GGUF's Q4_0, Q4_1 and Q4_K.

    `values`: float16[rows, columns].
    """
    import numpy
    from openvino import Type
    from openvino import opset13 as operations

    rows, columns = values.shape
    if columns % _GROUP:
        return None
    groups = values.astype(numpy.float32).reshape(-1, _GROUP)
    if _found(groups[:_FIRST]) is None or (found := _found(groups)) is None:
        return None
    levels, scales, zeros = (part.reshape(rows, columns // _GROUP, -1) for part in found)
    bits = operations.convert(operations.constant(levels, dtype=Type.u4), "f16")
    grouped = operations.multiply(operations.subtract(bits, operations.constant(zeros)), operations.constant(scales))
    return operations.convert(operations.reshape(grouped, numpy.array([rows, columns]), False), "f32")


def _found(groups: Any) -> tuple[Any, Any, Any] | None:
    """The level of each value, the distance between a group's levels, and the level of the value 0.

    uint8[groups, 32], float16[groups, 1] and float16[groups, 1]; None if the values of a group are no 16 levels.
    """
    import numpy

    levels = numpy.empty(groups.shape, dtype=numpy.uint8)
    scales, zeros = numpy.empty((2, len(groups), 1), dtype=numpy.float16)
    left = numpy.arange(len(groups))
    for steps in range(_LEVELS - 1, 0, -1):  # the lowest and the highest of the 16 need not be used
        some = groups[left]
        scale, zero = _spacing(some, steps)
        level = numpy.clip(numpy.round(some / scale + zero), 0, _LEVELS - 1).astype(numpy.uint8)
        levels[left], scales[left], zeros[left] = level, scale, zero
        errors = numpy.abs((level - zero.astype(numpy.float32)) * scale - some).max(axis=1)
        left = left[~(errors <= _LARGEST_ERROR * numpy.abs(some).max(axis=1))]
        if not left.size:
            return levels, scales, zeros
    return None


def _spacing(groups: Any, steps: int) -> tuple[Any, Any]:
    """The distance between levels and the level of the value 0, if a group's values span `steps` distances.

    Both float16[groups, 1].
    """
    import numpy

    lowest, highest = groups.min(axis=1, keepdims=True), groups.max(axis=1, keepdims=True)
    spread = numpy.where(highest > lowest, highest - lowest, numpy.abs(lowest) + (lowest == 0)) / steps
    scales = numpy.maximum(spread, _LEAST).astype(numpy.float16)
    return scales, (-lowest / scales).astype(numpy.float16)
