"""The metrics: the parts of each line, and how the parts of all lines become one figure.

A metric's `parts` come from one line (a score, a numerator and a denominator, or two labels). Its `total` takes arrays
of them, one value for each line, so that it can be computed for any sample of lines (scripts/evaluation/intervals.py).
Scores come from scikit-learn, SciPy, rouge-score and jiwer.
"""

import re
import string
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy

from scripts.evaluation.task import Kind

Array = numpy.ndarray[Any, Any]


@dataclass(frozen=True)
class Metric:
    """`parts(found, expected)`: of one line; `found`: the model's answer, as the file in scripts/tasks defines it.

    `form`: whether a figure is written in percent or as a plain number. `is_yes_or_no`: a line scores 0 or 1.
    `hub`: the metric's name on the Hub (https://huggingface.co/metrics).
    """

    title: str
    hub: str
    parts: Callable[[Any, Any], tuple[Any, ...]]
    total: Callable[..., float]
    kind: Kind = "output"
    more_is_better: bool = True
    form: Literal["percent", "number"] = "percent"
    is_yes_or_no: bool = False

    def written(self, value: float) -> str:
        """A figure of this metric for a table."""
        return f"{value:.1%}" if self.form == "percent" else f"{value:.2f}"


def _mean(scores: Array) -> float:
    return float(scores.mean())


def _ratio(numerators: Array, denominators: Array) -> float:
    return float(numerators.sum() / denominators.sum())


def _texts(expected: str | list[str]) -> list[str]:
    """The accepted answers."""
    return [expected] if isinstance(expected, str) else expected


def normalised(text: str) -> str:
    """A text for comparing answers: in NFKC, without case, and without surrounding white space and punctuation.

    A text that is only punctuation keeps it.
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.strip(string.punctuation + string.whitespace + "。、「」") or folded


def _exact_match(found: str, expected: str | list[str]) -> tuple[float]:
    return (float(normalised(found) in {normalised(text) for text in _texts(expected)}),)


def _includes(found: str, expected: str | list[str]) -> tuple[float]:
    """Whether the output contains an expected answer as whole words: 123 does not contain 12."""
    text = normalised(found)
    wanted = (re.escape(normalised(one)) for one in _texts(expected))
    return (float(any(re.search(rf"(?<![^\W_]){one}(?![^\W_])", text) or _is_unspaced(one, text) for one in wanted)),)


def _is_unspaced(one: str, text: str) -> bool:
    """Whether it occurs in a text of a language without spaces, where the ends of words are unknown."""
    return bool(_UNSPACED.search(one)) and re.search(one, text) is not None


_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]")


class _Words:
    """Replaces rouge-score's tokenizer, which keeps only a to z. In text without spaces, each character is a word."""

    def tokenize(self, text: str) -> list[str]:
        return re.findall(rf"{_UNSPACED.pattern}|[^\W{_UNSPACED.pattern[1:-1]}]+", normalised(text))


@cache
def _scorer(kind: str) -> Any:
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer([kind], tokenizer=_Words())


def _rouge(kind: str) -> Callable[[str, str | list[str]], tuple[float]]:
    """The F-measure against the best of the expected answers."""

    def parts(found: str, expected: str | list[str]) -> tuple[float]:
        return (max(float(_scorer(kind).score(text, found)[kind].fmeasure) for text in _texts(expected)),)

    return parts


_ARTICLES = re.compile(r"\b(a|an|the)\b")


def _f1(found: str, expected: str | list[str]) -> tuple[float]:
    """The overlap of words without articles, as in SQuAD (https://arxiv.org/abs/1606.05250)."""
    without = [_ARTICLES.sub(" ", text.casefold()) for text in _texts(expected)]
    return _rouge("rouge1")(_ARTICLES.sub(" ", found.casefold()), without)


def _errors(unit: Literal["words", "characters"]) -> Callable[[str, str | list[str]], tuple[float, float]]:
    """Edits, and the length of the expected text; of several texts, the one nearest to the output."""

    def parts(found: str, expected: str | list[str]) -> tuple[float, float]:
        import jiwer

        process = jiwer.process_words if unit == "words" else jiwer.process_characters
        counted = []
        for text in _texts(expected):
            result = process(normalised(text), normalised(found))
            edits = result.substitutions + result.deletions + result.insertions
            counted.append((float(edits), float(result.substitutions + result.deletions + result.hits)))
        return min(counted, key=lambda one: one[0] / one[1])

    return parts


def _label(found: Any, expected: Any) -> tuple[float]:
    return (float(found == expected),)


def _both(found: Any, expected: Any) -> tuple[Any, Any]:
    return found, expected


def _macro_f1(found: Array, expected: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(expected, found, average="macro", zero_division=0))


def _first(found: list[float], expected: float) -> tuple[float, float]:
    """The only score in a list."""
    return found[0], float(expected)


def _spearman(found: Array, expected: Array) -> float:
    """0 if either does not vary; SciPy leaves that undefined."""
    from scipy.stats import spearmanr

    if len(set(found.tolist())) < 2 or len(set(expected.tolist())) < 2:
        return 0.0
    return float(spearmanr(found, expected).statistic)


def _ndcg(found: list[float], expected: int | list[int]) -> tuple[float]:
    """`found`: a score for each candidate; `expected`: the positions (from 0) of the right ones."""
    from sklearn.metrics import ndcg_score

    right = {expected} if isinstance(expected, int) else set(expected)
    return (float(ndcg_score([[float(at in right) for at in range(len(found))]], [found], k=10)),)


def _accuracy_at_1(found: list[float], expected: int | list[int]) -> tuple[float]:
    right = {expected} if isinstance(expected, int) else set(expected)
    return (float(max(range(len(found)), key=found.__getitem__) in right),)


def _per(unit: Literal["tokens", "bytes"]) -> Callable[[Mapping[str, float], Any], tuple[float, float]]:
    def parts(found: Mapping[str, float], expected: Any) -> tuple[float, float]:
        return found["log_probability"], found[unit]

    return parts


def _perplexity(log_probabilities: Array, tokens: Array) -> float:
    return float(numpy.exp(-log_probabilities.sum() / tokens.sum()))


def _bits(log_probabilities: Array, count: Array) -> float:
    return float(-log_probabilities.sum() / numpy.log(2) / count.sum())


METRICS: dict[str, Metric] = {
    "exact_match": Metric("Exact match", "exact_match", _exact_match, _mean, is_yes_or_no=True),
    "includes": Metric("Includes the answer", "includes", _includes, _mean, is_yes_or_no=True),
    "f1": Metric("F1 of words", "f1", _f1, _mean),
    "rouge1": Metric("ROUGE-1", "rouge", _rouge("rouge1"), _mean),
    "rouge2": Metric("ROUGE-2", "rouge", _rouge("rouge2"), _mean),
    "rougeL": Metric("ROUGE-L", "rouge", _rouge("rougeL"), _mean),
    "wer": Metric("Word error rate", "wer", _errors("words"), _ratio, more_is_better=False),
    "cer": Metric("Character error rate", "cer", _errors("characters"), _ratio, more_is_better=False),
    "perplexity": Metric(
        "Perplexity", "perplexity", _per("tokens"), _perplexity, "likelihood", more_is_better=False, form="number"
    ),
    "bits_per_byte": Metric(
        "Bits per byte", "bits_per_byte", _per("bytes"), _bits, "likelihood", more_is_better=False, form="number"
    ),
    "accuracy": Metric("Accuracy", "accuracy", _label, _mean, is_yes_or_no=True),
    "macro_f1": Metric("F1, mean of the labels", "f1", _both, _macro_f1),
    "spearman": Metric("Spearman correlation", "spearmanr", _first, _spearman, form="number"),
    "ndcg_at_10": Metric("nDCG@10", "ndcg_at_10", _ndcg, _mean, form="number"),
    "accuracy_at_1": Metric("Accuracy@1", "accuracy_at_1", _accuracy_at_1, _mean, is_yes_or_no=True),
}
