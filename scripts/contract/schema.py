"""The OpenAPI schema of a class of predict.py, as `cog build` writes it into the image. Cog's own server needs it
to validate inputs and to stream, and outside Docker nothing else makes it. Like Cog, this reads the file without
running it. What Cog would silently drop or misread (such as a bound that is not a literal) is an error here.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from models.manifest import PROJECT, Manifest
from scripts.contract.cog_reader import file, inputs, models, output_types, target
from scripts.contract.cog_reader.annotation import parse_annotation
from scripts.contract.cog_reader.file import File
from scripts.contract.cog_reader.syntax import SchemaError, Unsupported, line_of
from scripts.contract.cog_reader.syntax import field as part
from scripts.contract.openapi_frame import document

__all__ = ["SchemaError"]


def class_names() -> list[str]:
    """The classes of predict.py that answer predictions, in the file's order."""
    return target.served(_file(), PROJECT)


def served_class(model: Manifest) -> str:
    """The class that serves a model: the one named after its task, or the only one.

    Raises:
        SchemaError: there is none.
    """
    names = class_names()
    if model.predictor_class in names or len(names) == 1:
        return model.predictor_class if model.predictor_class in names else names[0]
    known = f"it has {', '.join(names)}" if names else "it has none with a run or predict method"
    raise SchemaError(f"predict.py has no class {model.predictor_class}, for the task {model.task}: {known}")


def generate(class_name: str, path: Path | None = None) -> dict[str, Any]:
    """The OpenAPI document of a class of predict.py, or of the file at `path`.

    Raises:
        SchemaError: there is no such class, or Cog would not understand it or would silently misread it; names the
            line.
    """
    source, folder = _file(path), path.parent if path else PROJECT
    method = target.find(class_name, source, folder)
    known = models.collect(folder, method.file)
    found = _inputs(method, known)
    schema: dict[str, Any] = {"title": "Input", "type": "object", "properties": {one.name: one.schema for one in found}}
    required = [one.name for one in found if one.required]
    schema |= {"required": required} if required else {}
    output = {**_output(method, known), "title": "Output"}
    streams = target.streams(method)
    if streams and output.get("x-cog-array-type") != "iterator":
        raise method.file.error(method.node, "@streaming needs an iterator as the return type")
    target.slots(method)
    enumerations = {one.name: one.choices for one in found if one.choices}
    return document({"Input": schema, "Output": output, **enumerations}, streams)


def max_concurrency(class_name: str) -> int:
    """The N of `@concurrent(max=N)` on the class's method; 1 without. Cog bakes it into the image."""
    return target.slots(target.find(class_name, _file(), PROJECT))


def remarks(class_name: str) -> list[str]:
    """Descriptions that Cog misreads, each with its line: callers see what Cog made of them."""
    method = target.find(class_name, _file(), PROJECT)
    found = _inputs(method, models.collect(PROJECT, method.file))
    return [
        str(method.file.error(one.node, f"the description of {one.name}: {one.remark}")) for one in found if one.remark
    ]


def place_of(class_name: str, input_name: str) -> str:
    """The file and the line of an input, or of the method if it has no such input."""
    method = target.find(class_name, _file(), PROJECT)
    nodes = {one.name: one.node for one in _inputs(method, models.collect(PROJECT, method.file))}
    return f"{method.file.path}, line {line_of(nodes.get(input_name, method.node))}"


def _file(path: Path | None = None) -> File:
    path = path or PROJECT / "predict.py"
    return file.read(path.parent, path.name)


def _inputs(method: target.Target, known: models.Models) -> list[inputs.Input]:
    return list({one.name: one for one in inputs.Reader(method, known).inputs()}.values())


def _output(method: target.Target, known: models.Models) -> dict[str, Any]:
    annotation = part(method.node, "return_type")
    if annotation is None:
        raise method.file.error(method.node, f"{method.name} needs a return annotation")
    try:
        return output_types.resolve(parse_annotation(annotation), known)
    except Unsupported as error:
        raise method.file.error(annotation, f"the output: {error}") from error


def write_for_server(class_name: str) -> Path:
    """Put the schema where Cog's server looks for it, relative to the folder it runs in."""
    path = PROJECT / ".cog" / "openapi_schema.json"
    path.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        json.dump(generate(class_name), file)
    os.replace(file.name, path)
    return path
