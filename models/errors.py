"""The few errors that people meet. Each message says what is wrong, where, and which command or edit fixes it."""

_MOST_CHARACTERS = 500


class TemplateError(Exception):
    """A mistake or a missing thing that a person can fix; printed as one line, without a traceback."""


class ManifestError(TemplateError):
    """A model.yaml has a wrong value or key, or a required one is missing."""


class WeightsError(TemplateError):
    """Weights are missing, incomplete, changed, or made from other files."""


class EngineError(TemplateError):
    """No engine of the manifest can run on this machine, or the running one failed."""


class InputError(TemplateError):
    """The model cannot take an input of a prediction."""


def in_words(error: BaseException) -> str:
    """An exception of another library as one line for our messages, like: KeyError: 'added_tokens'."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['msg']}"
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    message = " ".join(str(error).split())[:_MOST_CHARACTERS]
    return f"{name}: {message}" if message else name
