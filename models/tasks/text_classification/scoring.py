"""Turns a model's output into scores of labels: logits of its labels, logits of inference, or similarities.

https://huggingface.co/docs/transformers/tasks/sequence_classification
https://huggingface.co/docs/transformers/main_classes/pipelines#transformers.ZeroShotClassificationPipeline
"""

from typing import Any


def of_logits(logits: Any, each_by_itself: bool) -> Any:
    """float32[texts, labels]: probabilities that add up to 1, or an independent one for each label."""
    return sigmoid(logits) if each_by_itself else softmax(logits)


def of_entailment(logits: Any, entailment: int, contradiction: int, each_by_itself: bool) -> Any:
    """How strongly each label's hypothesis follows from the text; `logits`: float32[texts, labels, inference classes].

    With `each_by_itself`, entailment is compared with contradiction; otherwise the labels are compared with each other.
    """
    if each_by_itself:
        return softmax(logits[..., [contradiction, entailment]])[..., 1]
    return softmax(logits[..., entailment])


def of_similarity(similarity: Any, scale: float, threshold: float, each_by_itself: bool) -> Any:
    """Scores from cosine similarities, float32[texts, labels]."""
    return sigmoid(scale * (similarity - threshold)) if each_by_itself else softmax(scale * similarity)


def softmax(values: Any) -> Any:
    """Along the last axis."""
    import numpy

    powers = numpy.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(values: Any) -> Any:
    import numpy

    return 1 / (1 + numpy.exp(-numpy.clip(values, -80, 80)))
