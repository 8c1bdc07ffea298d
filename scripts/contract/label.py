"""The contract in the label of an image, written by cog: what callers get. A release stops if predict.py differs."""

import json
from typing import Any

from models.errors import TemplateError
from scripts.contract import schema
from scripts.contract.openapi_frame import COG_VERSION

SCHEMA, VERSION = "run.cog.openapi_schema", "run.cog.version"


def contract_of(found: dict[str, Any]) -> dict[str, Any]:
    """The schema in the label of an image; `found`: the result of `docker inspect`.

    Raises:
        TemplateError: there is no such label.
    """
    try:
        contract: dict[str, Any] = json.loads(found["Config"]["Labels"][SCHEMA])
    except (KeyError, TypeError, ValueError) as error:
        raise TemplateError(f"the image has no label {SCHEMA}, so cog build did not make it: make image") from error
    return contract


def check(found: dict[str, Any], class_name: str) -> dict[str, Any]:
    """The contract of an image, checked to be that of the class in predict.py.

    Raises:
        TemplateError: it is not; names the difference, and the line of predict.py.
    """
    label = contract_of(found)
    in_image, in_project = (
        {key: part for key, part in one.items() if key != "info"} for one in (label, schema.generate(class_name))
    )
    different = _difference(in_image, json.loads(json.dumps(in_project)), ())
    if different is None:
        return label
    path, in_label, in_file = different
    name = path[path.index("properties") + 1] if "properties" in path else ""
    place, builder = schema.place_of(class_name, name), found["Config"]["Labels"].get(VERSION, "")
    raise TemplateError(
        f"the image's contract is not that of {place}: {'.'.join(path)} is {in_label} in the image's label, and "
        f"{in_file} in predict.py. Cog {builder} built it from another predict.py, or reads this one differently: "
        f"build it again with cog {COG_VERSION}"
    )


def _difference(first: Any, second: Any, path: tuple[str, ...]) -> tuple[tuple[str, ...], str, str] | None:
    """The first place where two documents differ, and its value in each."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted({*first, *second}):
            found = _difference(first.get(key, _NOTHING), second.get(key, _NOTHING), (*path, key))
            if found:
                return found
        return None
    return None if first == second and type(first) is type(second) else (path, _shown(first), _shown(second))


_NOTHING = object()


def _shown(value: Any) -> str:
    return "missing" if value is _NOTHING else json.dumps(value, ensure_ascii=False)[:100]
