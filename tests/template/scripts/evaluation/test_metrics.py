"""The metrics: known answers, several right answers, languages without spaces, and figures of many lines."""

from typing import Any

import numpy
import pytest

from scripts.evaluation.metrics import METRICS


def total(name: str, lines: list[tuple[Any, Any]]) -> float:
    metric = METRICS[name]
    parts = [metric.parts(found, expected) for found, expected in lines]
    return metric.total(*(numpy.array(column) for column in zip(*parts, strict=True)))


@pytest.mark.parametrize(
    ("name", "found", "expected", "score"),
    [
        ("exact_match", " Paris.\n", "paris", 1),
        ("exact_match", "Paris, France", "Paris", 0),
        ("exact_match", "7", ["seven", "7"], 1),
        ("exact_match", "東京。", "東京", 1),
        ("exact_match", "-", "+", 0),
        ("includes", "It is Paris, of course.", "paris", 1),
        ("includes", "There are 123 of them", "12", 0),
        ("includes", "Parisians", "Paris", 0),
        ("includes", "首都は東京です", "東京", 1),
        ("includes", "one C++ book", "c++", 1),
        ("f1", "The cat sat", "a cat sat", 1),
        ("f1", "cat", "a cat sat", 2 / 3),
        ("rouge1", "the cat sat", "a cat sat", 2 / 3),
        ("rouge2", "the cat sat", "a cat sat", 1 / 2),
        ("rougeL", "sat the cat", "the cat sat", 2 / 3),
        ("rougeL", "昨日は雨", "今日は雨", 3 / 4),
        ("rouge1", "größe zählt", "größe", 2 / 3),
        ("wer", "the cat sat", "the dog sat down", 2 / 4),
        ("cer", "kitten", "sitting", 3 / 7),
        ("wer", "", "the dog", 1),
        ("cer", "", "dog", 1),
        ("rougeL", "", "the dog", 0),
        ("accuracy", "positive", "positive", 1),
        ("ndcg_at_10", [0.1, 0.9, 0.5], 1, 1),
        ("ndcg_at_10", [0.9, 0.5, 0.1], 1, 1 / numpy.log2(3)),
        ("accuracy_at_1", [0.1, 0.9, 0.5], [1, 2], 1),
        ("accuracy_at_1", [0.1, 0.9, 0.5], 2, 0),
    ],
)
def test_the_score_of_one_line(name: str, found: Any, expected: Any, score: float) -> None:
    assert total(name, [(found, expected)]) == pytest.approx(score)


def test_word_errors_are_counted_over_all_words_not_averaged_over_lines() -> None:
    assert total("wer", [("a", "b"), ("one two three", "one two three")]) == pytest.approx(1 / 4)


def test_perplexity_is_computed_over_all_tokens_together() -> None:
    lines = [
        ({"log_probability": -2.0, "tokens": 1, "bytes": 4}, ""),
        ({"log_probability": 0, "tokens": 3, "bytes": 4}, ""),
    ]
    assert total("perplexity", lines) == pytest.approx(numpy.exp(2 / 4))
    assert total("bits_per_byte", lines) == pytest.approx(2 / numpy.log(2) / 8)


def test_macro_f1_weights_every_label_equally() -> None:
    lines = [("a", "a"), ("a", "a"), ("a", "a"), ("a", "b")]
    assert total("accuracy", lines) == 0.75
    assert total("macro_f1", lines) == pytest.approx((6 / 7 + 0) / 2)


def test_correlation_is_rank_correlation_and_0_for_constant_values() -> None:
    assert total("spearman", [([0.1], 1), ([0.2], 10), ([0.3], 100)]) == pytest.approx(1)
    assert total("spearman", [([0.5], 1), ([0.5], 10), ([0.5], 100)]) == 0
