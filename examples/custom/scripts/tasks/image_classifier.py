"""Image classification, as the tools see it: scripts/tasks/__init__.py lists what else can be said here."""

PIPELINE_TAG = "image-classification"
"""The Hub's word for the task."""
