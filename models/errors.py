"""The few errors that people meet. Each message names what is wrong, where, and the command or edit that mends it."""

_MOST_CHARACTERS = 500


class TemplateError(Exception):
    """A mistake or a lack that a person can mend; printed as one line, without a traceback."""


class ManifestError(TemplateError):
    """A model.yaml that says something it should not, or leaves something out."""


class WeightsError(TemplateError):
    """Weights that are missing, cut short, changed, or made from something else."""


class EngineError(TemplateError):
    """No engine of the manifest can run on this machine, or the running one failed."""


class InputError(TemplateError):
    """A prediction's input that the model cannot take."""


def in_words(error: BaseException) -> str:
    """Another library's exception in one line, for a message of ours: KeyError: 'added_tokens'."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'the whole'}: {first['msg']}"
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    said = " ".join(str(error).split())[:_MOST_CHARACTERS]
    return f"{name}: {said}" if said else name
