"""The contract that callers rely on. Read the modules in this order:

`schema` writes the OpenAPI document of a class from predict.py (read by cog_reader/) and from openapi_frame. `document`
reads such a document, whichever version of Cog wrote it, and `meaning` extracts the contract. `comparison` compares two
contracts; `difference` describes each difference and its remedy. `label` compares predict.py with an image's label.
"""
