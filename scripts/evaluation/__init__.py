"""Evaluates a model: its answers to a file of inputs, scored by metrics with confidence intervals."""
