"""Reads a language model's GGUF, writes it as the files that an engine loads, and compares their results."""
