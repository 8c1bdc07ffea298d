"""Runs a new model's examples once, on Cog's server with the model itself."""

import json
import sys
from typing import Any

from models import runtimes
from models.errors import TemplateError
from models.manifest import Manifest
from scripts.conversion import weights
from scripts.serving import local_server, predicting

_MOST_SHOWN = 200


def run(model: Manifest) -> list[dict[str, Any]]:
    """The finished predictions of the examples.

    Raises:
        TemplateError: the model cannot be served on this machine, or refuses an example.
    """
    weights.ensure(model, runtimes.choose(model))
    print(f"running {len(model.examples)} examples on {model.slug} ...", file=sys.stderr)
    with local_server.running(model) as (address, _):
        return [_prediction(address, example.name, example.input) for example in model.examples]


def shown(output: Any) -> str:
    """An output in one line."""
    text = "".join(map(str, output)) if _is_text(output) else json.dumps(output)
    text = " ".join(text.split())
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]} ..."


def _is_text(output: Any) -> bool:
    return isinstance(output, list) and all(isinstance(piece, str) for piece in output)


def _prediction(address: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    predicting.wait_until_ready(address)
    found = predicting.prediction(address, {"input": inputs})
    if found["status"] != "succeeded":
        raise TemplateError(f"example {name!r} {inputs}: {found['status']}: {found.get('error')}")
    return found
