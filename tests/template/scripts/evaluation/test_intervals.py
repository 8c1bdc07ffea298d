"""The intervals: as wide as theory says, exact if all lines score the same, narrower for two models on equal lines."""

import math

import numpy
import pytest

from scripts.evaluation import intervals
from scripts.evaluation.metrics import METRICS

RIGHT, WER = METRICS["exact_match"], METRICS["wer"]


def test_the_interval_of_a_proportion_matches_the_normal_distribution() -> None:
    parts = [(float(line % 10 < 7),) for line in range(400)]
    found = intervals.estimate(RIGHT, parts)
    half = 1.96 * math.sqrt(0.7 * 0.3 / 400)
    assert found.value == pytest.approx(0.7)
    assert (found.low, found.high) == (pytest.approx(0.7 - half, abs=0.006), pytest.approx(0.7 + half, abs=0.006))


def test_the_same_figures_give_the_same_interval() -> None:
    parts = [(float(line % 3 == 0),) for line in range(30)]
    assert intervals.estimate(RIGHT, parts) == intervals.estimate(RIGHT, parts)


@pytest.mark.parametrize(("score", "bounds"), [(1.0, (0.025 ** (1 / 10), 1.0)), (0.0, (0.0, 1 - 0.025 ** (1 / 10)))])
def test_ten_lines_that_are_all_right_or_all_wrong_still_have_an_interval(
    score: float, bounds: tuple[float, float]
) -> None:
    found = intervals.estimate(RIGHT, [(score,)] * 10)
    assert (found.low, found.high) == pytest.approx(bounds)


def test_no_interval_is_given_where_the_bootstrap_cannot_find_one() -> None:
    without_errors = intervals.estimate(WER, [(0.0, 3.0), (0.0, 5.0)])
    assert (without_errors.low, without_errors.high) == (-math.inf, math.inf)
    of_one_line = intervals.estimate(WER, [(1.0, 3.0)])
    assert (of_one_line.low, of_one_line.high) == (-math.inf, math.inf)


def test_two_models_on_the_same_lines_need_fewer_of_them() -> None:
    hard = numpy.random.default_rng(0).random(200) < 0.5
    first = [(float(not line),) for line in hard]
    second = [(float(not line and number % 20 > 0),) for number, line in enumerate(hard)]  # worse on 1 in 20
    found = intervals.difference(RIGHT, first, second)
    assert found.is_real
    assert found.value < found.high < 0
    apart = intervals.estimate(RIGHT, first).high - intervals.estimate(RIGHT, first).low
    assert found.high - found.low < apart / 2


def test_a_difference_that_chance_explains_is_not_real() -> None:
    first = [(float(line % 2),) for line in range(40)]
    second = [(float(line % 2 or line == 0),) for line in range(40)]
    assert not intervals.difference(RIGHT, first, second).is_real
    assert not intervals.difference(RIGHT, first, first).is_real


def test_the_bootstrap_draws_labels_as_well_as_numbers() -> None:
    parts = [("a", "a"), ("b", "a"), ("b", "b")] * 20
    found = intervals.estimate(METRICS["macro_f1"], parts)
    assert found.low < found.value < found.high
