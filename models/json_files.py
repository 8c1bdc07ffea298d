"""The JSON files beside a model's weights; tokenizer.json is read by the library `tokenizers`."""

import json
from pathlib import Path
from typing import Any

from models.errors import WeightsError


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if there is no such file.

    Raises:
        WeightsError: the file is not JSON, or not an object.
    """
    content = _content(path) if path.is_file() else {}
    if not isinstance(content, dict):
        raise WeightsError(f"{path} is not a JSON object: mend it at its source, then: make weights-lock")
    return content


def read_tokenizer(folder: Path) -> Any:
    """The model's tokenizer, a tokenizers.Tokenizer, which neither cuts nor pads texts.

    Raises:
        WeightsError: there is no tokenizer.json, or it cannot be read; says what to do.
    """
    import tokenizers

    path = folder / "tokenizer.json"
    if not path.is_file():
        raise WeightsError(
            f"{folder} has no {path.name}, which is how a tokenizer is read: with transformers and sentencepiece "
            "installed, AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) makes one from the files that "
            "the model has; put it beside the weights at their source, then: make weights-lock"
        )
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower class
        raise WeightsError(f"{path} cannot be read: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def modules(folder: Path) -> list[dict[str, Any]]:
    """The modules that modules.json lists, in order; empty for a model that sentence-transformers did not save.

    Source: https://sbert.net/docs/sentence_transformer/usage/custom_models.html

    Raises:
        WeightsError: the file is not JSON, or not a list of objects.
    """
    path = folder / "modules.json"
    content = _content(path) if path.is_file() else []
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise WeightsError(f"{path} is not a JSON list of modules: mend it at its source, then: make weights-lock")
    return content


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{path} is not JSON ({error}): mend it at its source, then: make weights-lock") from error
