"""A language model's GGUF: read whole, compared, and written as what an engine loads."""
