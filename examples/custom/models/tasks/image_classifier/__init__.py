"""Classifies pictures with a network of one's own: a score for each label."""

from models.tasks.image_classifier.adapter import ImageClassifier, load

__all__ = ["ImageClassifier", "load"]
