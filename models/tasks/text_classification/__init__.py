"""Text classification: each text gets a score for each label, of the model's own or of the caller's."""

from models.tasks.text_classification.adapter import Request, TextClassification, load

__all__ = ["Request", "TextClassification", "load"]
