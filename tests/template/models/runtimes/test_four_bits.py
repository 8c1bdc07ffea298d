"""Matrices that stay in 4 bits have the values that they had; what needs more bits is found."""

from typing import Any

import numpy
import openvino
import pytest
from openvino import opset13 as operations

from models.runtimes.gguf import four_bits

RANDOM = numpy.random.default_rng(1)
LEVELS = RANDOM.integers(0, 16, (8, 64)).astype("f4")
ROUNDED = 2**-9


def computed(values: Any) -> Any:
    """The matrix as the plugin expands it, by its product with the identity."""
    expanded = four_bits.expanded(values)
    columns = operations.parameter([-1, values.shape[1]], numpy.float32)
    model = openvino.Model([operations.matmul(columns, expanded, False, True)], [columns])
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(numpy.eye(values.shape[1], dtype=numpy.float32))[0].T


@pytest.mark.parametrize(
    "values",
    [
        (LEVELS - 7.3) * 0.011,
        (numpy.clip(LEVELS, 3, 9) - 8) * 0.011,  # neither the lowest nor the highest level is used
        LEVELS * 0.002 + 0.7,
        LEVELS * 2**-24,  # with the smallest distance that float16 has
        -0.5 - LEVELS * 1e-4,
        numpy.repeat([0.0, 0.3, -0.3, 5e-5], 2)[:, None] * numpy.ones(64),  # one value in each group
    ],
)
def test_sixteen_evenly_spaced_values_are_kept(values: Any) -> None:
    values = values.astype(numpy.float16)
    largest = numpy.abs(values).reshape(8, 2, 32).max(axis=2).repeat(32, axis=1)
    assert (numpy.abs(computed(values) - values) <= ROUNDED * largest).all()


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.integers(0, 32, (8, 64)) * 0.01,
        numpy.square(LEVELS) * 0.01,
        RANDOM.normal(size=(8, 64)),
        LEVELS[:, :48] * 0.01,  # a row is no whole number of groups
    ],
)
def test_other_values_are_left_in_float16(values: Any) -> None:
    assert four_bits.expanded(values.astype(numpy.float16)) is None
