"""The contract that cog wrote into an image: what callers get. Where predict.py says another one, a release ends."""

import json
from typing import Any

from models.errors import TemplateError
from scripts.contract import schema
from scripts.contract.openapi_frame import COG_VERSION

SCHEMA, VERSION = "run.cog.openapi_schema", "run.cog.version"


def contract_of(found: dict[str, Any]) -> dict[str, Any]:
    """The schema in the label of an image; `found`: what the engine knows of it.

    Raises:
        TemplateError: it has none.
    """
    try:
        contract: dict[str, Any] = json.loads(found["Config"]["Labels"][SCHEMA])
    except (KeyError, TypeError, ValueError) as error:
        raise TemplateError(f"the image has no label {SCHEMA}, so cog build did not make it: make image") from error
    return contract


def check(found: dict[str, Any], class_name: str) -> dict[str, Any]:
    """The contract of an image, which is that of the class of predict.py as it is now.

    Raises:
        TemplateError: it is not; names the place, and the line of predict.py.
    """
    label = contract_of(found)
    there, here = (
        {key: part for key, part in one.items() if key != "info"} for one in (label, schema.generate(class_name))
    )
    different = _difference(there, json.loads(json.dumps(here)), ())
    if different is None:
        return label
    path, in_label, in_file = different
    name = path[path.index("properties") + 1] if "properties" in path else ""
    place, builder = schema.place_of(class_name, name), found["Config"]["Labels"].get(VERSION, "")
    raise TemplateError(
        f"the image's contract is not that of {place}: {'.'.join(path)} is {in_label} in the image's label, and "
        f"{in_file} by predict.py. Cog {builder} built it from another predict.py, or reads this one otherwise: build "
        f"it again, by cog {COG_VERSION}"
    )


def _difference(there: Any, here: Any, path: tuple[str, ...]) -> tuple[tuple[str, ...], str, str] | None:
    """The first place where two documents differ, and what is there in each."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted({*there, *here}):
            found = _difference(there.get(key, _NOTHING), here.get(key, _NOTHING), (*path, key))
            if found:
                return found
        return None
    return None if there == here and type(there) is type(here) else (path, _shown(there), _shown(here))


_NOTHING = object()


def _shown(value: Any) -> str:
    return "not there" if value is _NOTHING else json.dumps(value, ensure_ascii=False)[:100]
