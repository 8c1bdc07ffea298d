"""What callers rely on, in the order in which it is read.

`schema` writes a class's OpenAPI document, from what cog_reader/ finds in predict.py and what openapi_frame adds to it.
`document` reads such a document, whichever Cog wrote it, and `meaning` what it promises. `comparison` compares two
promises, and `difference` has the words and the remedies of what it finds. `label` compares with what is in an image.
"""
