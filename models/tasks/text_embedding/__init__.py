"""Text embedding: texts become vectors whose nearness says how near their meanings are."""

from models.tasks.text_embedding.adapter import Request, TextEmbedding, load

__all__ = ["Request", "TextEmbedding", "load"]
