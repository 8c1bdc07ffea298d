"""Renders cog.yaml and similar files, schemas, and the measured and listed sections of README and docs."""
