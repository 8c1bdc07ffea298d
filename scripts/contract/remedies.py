"""What to do instead of each breaking change: one sentence for whoever writes the next version."""

INPUT = {
    "removed": "keep {name} in the signature with deprecated=True, and ignore it in the code until callers have moved",
    "renamed": "keep the old name with deprecated=True, and add the new one beside it, optional",
    "required": "give {name} a default, so that requests without it still work",
    "type": "keep the old type, and add an input of the new type beside it, optional",
    "format": "keep the old type, and add an input of the new type beside it, optional",
    "nullable": "keep `| None`, and let None mean the default",
    "limit": "keep the old limit in the signature, and let the code bring a value beyond the new one to it",
    "rule": "leave the rule as it was, and let the code mend the values that it cannot use",
    "choices": "keep the old choices, and let the code take the nearest new one for each",
    "default": "keep the old default: whoever wants the new value can send it",
}
_BESIDE = "keep this output, and serve the new one beside it: as a class, and so a model, of its own"
OUTPUT = {
    "removed": "keep the field, and fill it as before",
    "renamed": "fill the old field too, beside the new one",
    "type": _BESIDE,
    "format": _BESIDE,
    "nullable": "always give a value: an empty one where there is none",
    "limit": "let the code bring the value into the old limits",
    "rule": "let the code give values that follow the old rule",
    "choices": "give one of the old values here, and the new ones in a field beside it",
    "array_type": "yield the pieces again: an iterator as the return type",
    "array_display": "keep the kind of iterator: of a ConcatenateIterator clients show one text, of an Iterator a list",
    "streams": "put @streaming back above predict",
}
