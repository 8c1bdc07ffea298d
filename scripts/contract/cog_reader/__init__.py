"""Reads predict.py as `cog build` reads it, without running it.

A port of Cog 0.22's pkg/schema, on Cog's grammar (tree-sitter-python 0.23.0): the schema that Cog writes into the image
follows from tokens, not from what Python would compute, and only the same tokens give the same schema. Of Cog's own
commands none prints a schema without a Docker engine, and `make predict` needs neither. After an upgrade of Cog,
`python -m tests.template.scripts.contract.forms` writes down what it says by then, and the tests show what differs.
"""
