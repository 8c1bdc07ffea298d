"""Text generation, as the tools see it."""

from models.tasks.text_generation.manifest import Manifest


def cache_bytes_per_token(model: Manifest, bytes_per_value: float) -> float:
    """What a token of a running prediction takes in memory, which each step reads."""
    return model.architecture.cache_bytes_per_token(bytes_per_value)
