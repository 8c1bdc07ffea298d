"""Reads predict.py as `cog build` reads it, without running it.

A port of Cog 0.22's pkg/schema, with Cog's grammar (tree-sitter-python 0.23.0). Cog derives the schema from tokens, not
from what Python would compute, so only the same tokens give the same schema. No command of Cog prints a schema without
a Docker engine, which `make predict` does not need. After an upgrade of Cog,
`python -m tests.template.scripts.contract.forms` records what the new version writes, and the tests show what differs.
"""
