"""Text generation: a request becomes token ids, an engine continues them, and text comes out piece by piece."""

from models.tasks.text_generation.adapter import Request, TextGeneration, load

__all__ = ["Request", "TextGeneration", "load"]
