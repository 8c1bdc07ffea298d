"""Text classification: each text gets a score for each label. The labels are the model's own or the caller's."""

from models.tasks.text_classification.adapter import Request, TextClassification, load

__all__ = ["Request", "TextClassification", "load"]
