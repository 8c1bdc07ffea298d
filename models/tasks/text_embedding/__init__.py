"""Text embedding: texts become vectors; texts with similar meanings get vectors that are close to each other."""

from models.tasks.text_embedding.adapter import Request, TextEmbedding, load

__all__ = ["Request", "TextEmbedding", "load"]
