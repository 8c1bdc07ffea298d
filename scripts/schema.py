"""python -m scripts.schema [CLASS]

Prints the OpenAPI schema of a class of predict.py, as `cog build` writes it into the image. Cog's own server needs it
to validate inputs and to stream, and outside Docker nothing else makes it. Like Cog, this reads the file without
running it; what Cog would drop or garble silently (a bound that is no literal) is an error here.
"""

import ast
import io
import json
import os
import sys
import tempfile
import tokenize
from pathlib import Path
from typing import Any

from models.errors import TemplateError
from models.weights import PROJECT
from scripts.openapi_frame import document

PRIMITIVES: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "int": {"type": "integer"},
    "str": {"type": "string"},
    "Path": {"type": "string", "format": "uri"},
    "Secret": {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True},
    "Any": {"type": "object"},
    "dict": {"type": "object"},
}
# Input()'s keyword -> the schema's.
CONSTRAINTS = {
    "description": "description",
    "ge": "minimum",
    "le": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "regex": "pattern",
    "deprecated": "deprecated",
    "accept": "x-cog-accept",
}


class SchemaError(TemplateError):
    """Something in predict.py that Cog's static reading does not understand."""


def main(argv: list[str]) -> int:
    """Print the schema of the class that `argv` names, or of the only one."""
    try:
        names = argv or class_names()
        if not names:
            raise SchemaError("predict.py has no class with a predict method")
        print(json.dumps([generate(name) for name in names] if len(names) > 1 else generate(names[0]), indent=2))
    except TemplateError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def class_names() -> list[str]:
    """The classes of predict.py that have a predict method, in the file's order."""
    return [cls.name for cls in _classes(_source()) if _predict_of(cls)]


def generate(class_name: str, path: Path | None = None) -> dict[str, Any]:
    """The OpenAPI document of a class of predict.py, or of the file at `path`.

    Raises:
        SchemaError: there is no such class, or Cog would not understand it; names the line.
    """
    source = _source(path)
    cls = next((cls for cls in _classes(source) if cls.name == class_name), None)
    predict = _predict_of(cls) if cls else None
    if predict is None:
        raise SchemaError(
            f"predict.py has no class {class_name} with a predict method: it has {', '.join(class_names())}"
        )
    reader = _Reader(source)
    inputs, enumerations = reader.inputs(predict)
    output = {"title": "Output", **reader.output(predict.returns, predict)}
    return document({"Input": inputs, "Output": output, **enumerations}, streams="streaming" in _decorators(predict))


def max_concurrency(class_name: str) -> int:
    """The N of `@concurrent(max=N)` on the class's predict; 1 without. Cog bakes it into the image."""
    for cls in _classes(_source()):
        predict = _predict_of(cls)
        if cls.name == class_name and predict:
            decorator = _decorators(predict).get("concurrent")
            keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
            return next((ast.literal_eval(keyword.value) for keyword in keywords if keyword.arg == "max"), 1)
    return 1


def _source(path: Path | None = None) -> str:
    return (path or PROJECT / "predict.py").read_text(encoding="utf-8")


def _classes(source: str) -> list[ast.ClassDef]:
    try:
        return [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    except SyntaxError as error:
        raise SchemaError(f"predict.py, line {error.lineno}: {error.msg}") from error


def _predict_of(cls: ast.ClassDef) -> ast.AsyncFunctionDef | ast.FunctionDef | None:
    for node in cls.body:
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name == "predict":
            return node
    return None


def _decorators(function: ast.AsyncFunctionDef | ast.FunctionDef) -> dict[str, ast.expr]:
    found = {}
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        found[ast.unparse(called).removeprefix("cog.")] = decorator
    return found


class _Reader:
    """Reads annotations and literals; names may be constants of the same file."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._constants = {
            node.targets[0].id: node.value
            for node in ast.parse(source).body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }

    def inputs(self, predict: ast.AsyncFunctionDef | ast.FunctionDef) -> tuple[dict[str, Any], dict[str, Any]]:
        """The Input component, and an enumeration for each input with choices."""
        parameters = predict.args.args[1:]
        defaults: list[ast.expr | None] = [None] * (len(parameters) - len(predict.args.defaults))
        defaults += predict.args.defaults
        properties, required, enumerations = {}, [], {}
        for order, (parameter, default) in enumerate(zip(parameters, defaults, strict=True)):
            name = parameter.arg
            options = self._options(default)
            kind, nullable = self._input_type(parameter)
            field: dict[str, Any] = {"x-order": order}
            if options.get("choices"):
                field["allOf"] = [{"$ref": f"#/components/schemas/{name}"}]
                enumerations[name] = self._enumeration(name, kind, options["choices"])
            else:
                field |= {"title": " ".join(part[:1].upper() + part[1:] for part in name.split("_")), **kind}
            if nullable:
                field["nullable"] = True
            if "default" in options and (options["default"] is not None or nullable):
                field["default"] = options["default"]
            elif not nullable:
                required.append(name)
            field |= {CONSTRAINTS[key]: value for key, value in options.items() if key in CONSTRAINTS}
            properties[name] = field
        schema: dict[str, Any] = {"title": "Input", "type": "object", "properties": properties}
        return schema | ({"required": required} if required else {}), enumerations

    def output(self, annotation: ast.expr | None, predict: ast.stmt) -> dict[str, Any]:
        """The JSON schema of a return annotation."""
        if annotation is None:
            raise SchemaError(f"predict.py, line {predict.lineno}: predict needs a return annotation")
        text = ast.unparse(annotation).removeprefix("cog.")
        if text in PRIMITIVES:
            return dict(PRIMITIVES[text])
        if isinstance(annotation, ast.Subscript):
            outer = ast.unparse(annotation.value).rpartition(".")[2]
            if outer in ("list", "List"):
                return {"type": "array", "items": self.output(annotation.slice, predict)}
            if outer in ("Iterator", "AsyncIterator", "ConcatenateIterator", "AsyncConcatenateIterator"):
                schema = {"type": "array", "items": self.output(annotation.slice, predict)}
                schema["x-cog-array-type"] = "iterator"
                return schema | ({"x-cog-array-display": "concatenate"} if "Concatenate" in outer else {})
        raise SchemaError(f"predict.py, line {annotation.lineno}: cannot describe the output type {text}")

    def _input_type(self, parameter: ast.arg) -> tuple[dict[str, Any], bool]:
        """The JSON schema of an input's annotation, and whether it may be null."""
        annotation = parameter.annotation
        if annotation is None:
            raise SchemaError(f"predict.py, line {parameter.lineno}: the input {parameter.arg} needs a type")
        if isinstance(annotation, ast.BinOp) and ast.unparse(annotation.right) == "None":
            return self._plain_type(annotation.left, parameter), True
        if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) in ("Optional", "typing.Optional"):
            return self._plain_type(annotation.slice, parameter), True
        return self._plain_type(annotation, parameter), False

    def _plain_type(self, annotation: ast.expr, parameter: ast.arg) -> dict[str, Any]:
        if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) in ("list", "List", "typing.List"):
            return {"type": "array", "items": self._plain_type(annotation.slice, parameter)}
        name = ast.unparse(annotation).removeprefix("cog.")
        if name not in PRIMITIVES:
            known = ", ".join(PRIMITIVES)
            raise SchemaError(
                f"predict.py, line {parameter.lineno}: the input {parameter.arg} has the type {name}: "
                f"use {known}, list[...] or ... | None"
            )
        return dict(PRIMITIVES[name])

    def _options(self, default: ast.expr | None) -> dict[str, Any]:
        """Input()'s arguments, or {"default": value} for a plain default."""
        if default is None:
            return {}
        if isinstance(default, ast.Call) and ast.unparse(default.func).removeprefix("cog.") == "Input":
            options = {keyword.arg or "": self._literal(keyword.value) for keyword in default.keywords}
            return options | ({"default": self._literal(default.args[0])} if default.args else {})
        return {"default": self._literal(default)}

    def _literal(self, node: ast.expr) -> Any:
        literal = self._constants.get(node.id, node) if isinstance(node, ast.Name) else node
        if isinstance(literal, ast.Constant) and isinstance(literal.value, str) and self._is_joined(literal):
            raise SchemaError(f"predict.py, line {node.lineno}: Cog does not join adjacent strings: write one")
        try:
            value = ast.literal_eval(literal)
            return int(value) if isinstance(value, float) and value.is_integer() else value
        except ValueError:
            raise SchemaError(
                f"predict.py, line {node.lineno}: {ast.unparse(node)} is no literal, so Cog would leave it out of the "
                "schema: write the value, or a constant of the same file"
            ) from None

    def _is_joined(self, literal: ast.Constant) -> bool:
        source = ast.get_source_segment(self._source, literal) or ""
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        try:
            return sum(token.type == tokenize.STRING for token in tokens) > 1
        except tokenize.TokenError:
            return True

    def _enumeration(self, name: str, kind: dict[str, Any], choices: list[Any]) -> dict[str, Any]:
        return {"title": name, "description": "An enumeration.", "enum": choices, "type": kind.get("type", "string")}


def write_for_server(class_name: str) -> Path:
    """Put the schema where Cog's server looks for it, relative to the folder it runs in."""
    path = PROJECT / ".cog" / "openapi_schema.json"
    path.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        json.dump(generate(class_name), file)
    os.replace(file.name, path)
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
