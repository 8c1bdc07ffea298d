"""Adds a model to the catalog: looks it up, writes and locks it, and runs its examples."""
