"""Text generation: a request becomes token ids, an engine continues them, and the text is streamed in pieces."""

from models.tasks.text_generation.adapter import Request, TextGeneration, load

__all__ = ["Request", "TextGeneration", "load"]
