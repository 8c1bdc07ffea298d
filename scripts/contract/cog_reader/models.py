"""Classes that describe JSON objects: each BaseModel and TypedDict of predict.py and of the project's files it imports.

Source: Cog 0.22, pkg/schema/python/models.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from tree_sitter import Node

from scripts.contract.cog_reader import literals
from scripts.contract.cog_reader.annotation import Annotation, parse_annotation
from scripts.contract.cog_reader.file import TYPING, File, Import, read
from scripts.contract.cog_reader.syntax import SchemaError, Unsupported, statement, text, unwrapped
from scripts.contract.cog_reader.syntax import field as part

# Cog never reads these packages from the project's files, even if the project has a file of that name.
_NOT_OURS = re.compile(
    "builtins|typing|typing_extensions|collections|abc|enum|dataclasses|os|sys|io|json|re|math|pathlib|functools|"
    "itertools|contextlib|concurrent|asyncio|multiprocessing|threading|logging|warnings|unittest|pytest|numpy|torch|"
    "tensorflow|jax|scipy|sklearn|transformers|diffusers|accelerate|safetensors|PIL|cv2|skimage|requests|httpx|"
    "aiohttp|fastapi|flask|pydantic|cog"
)


@dataclass(frozen=True)
class Member:
    """A field of such a class; `required`: as a TypedDict declares it, else None."""

    name: str
    type: Annotation
    has_default: bool
    required: bool | None


@dataclass
class Models:
    """Fields of each class, by the class's name in the file; `typed_dicts`: the names of TypedDicts among them."""

    file: File
    members: dict[str, list[Member]] = field(default_factory=dict)
    typed_dicts: set[str] = field(default_factory=set)


def collect(folder: Path, file: File) -> Models:
    """The classes of a file and of those that it imports from below `folder`."""
    return _Loader(folder).complete(file)


def path_of_module(module: str, importer: str) -> str:
    """The file of a module, relative to the project's folder; "" for a bare package."""
    names = module.lstrip(".")
    if not names:
        return ""
    level = len(module) - len(names)
    parents = [PurePosixPath("."), *PurePosixPath(importer).parents]
    base = parents[min(level, len(parents) - 1)] if level else parents[0]
    return str(base.joinpath(*names.split("."))) + ".py"


def is_ours(module: str) -> bool:
    """Whether Cog looks for a module among the project's files."""
    dot = module.find(".")
    return not _NOT_OURS.fullmatch((module[:dot] if dot > 0 else module).lstrip("."))


def nested(source: Import) -> str:
    """MODULE.NAME, the module that `from MODULE import NAME` may import."""
    if not source.module or not source.original:
        return source.module
    return f"{source.module}{'' if source.module == '.' else '.'}{source.original}"


class _Loader:
    """Reads each file once; while a file is being read, the files that it imports see it as empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, Models] = {}

    def complete(self, file: File) -> Models:
        """All classes that a file knows: a second pass finds those with a base from another file."""
        found = Models(file)
        _find(found)
        self._import_into(found)
        _find(found)
        return found

    def _load(self, module: str, importer: str) -> Models | None:
        path = path_of_module(module, importer) if is_ours(module) else ""
        if path in self._loaded:
            return self._loaded[path]
        if not path or not (self._folder / path).is_file():
            return None
        try:
            file = read(self._folder, path)
        except SchemaError:
            return None
        self._loaded[path] = Models(file)
        found = self._loaded[path] = self.complete(file)
        self._refresh()
        self._import_into(found)
        return found

    def _import_into(self, models: Models) -> None:
        for local, source in models.file.imports.items():
            loaded, is_module = self._load(source.module, models.file.path), False
            if loaded is None and nested(source) != source.module:
                loaded, is_module = self._load(nested(source), models.file.path), True
            if loaded is None:
                _alias(local, source, models, models)
                continue
            models.members |= {f"{local}.{name}": members for name, members in loaded.members.items()}
            models.typed_dicts |= {f"{local}.{name}" for name in loaded.typed_dicts}
            if is_module or source.original == source.module or source.module == ".":
                continue
            _alias(local, source, loaded, models)
            models.members = {**loaded.members, **models.members}

    def _refresh(self) -> None:
        for models in self._loaded.values():
            for local, source in models.file.imports.items():
                imported = self._loaded.get(path_of_module(source.module, models.file.path))
                if imported:
                    _alias(local, source, imported, models)


def _alias(local: str, source: Import, known: Models, into: Models) -> None:
    if source.original in known.members:
        into.members[local] = known.members[source.original]
    if source.original in known.typed_dicts:
        into.typed_dicts.add(local)


def _find(models: Models) -> None:
    """Add the classes of the file itself, those with a known base."""
    for node in models.file.root.named_children:
        definition = unwrapped(node, "class_definition")
        name = part(definition, "name") if definition else None
        if not definition or not name:
            continue
        is_typed_dict, is_total, parents = _typed_dict(definition, models)
        if not is_typed_dict and not _is_base_model(definition, models.file):
            continue
        members = _members(definition, models.file, is_total if is_typed_dict else None)
        if is_typed_dict:
            inherited = [member for parent in parents for member in models.members.get(parent, [])]
            members = list({member.name: member for member in [*inherited, *members]}.values())
            models.typed_dicts.add(text(name))
        models.members[text(name)] = members


def _is_base_model(definition: Node, file: File) -> bool:
    bases = part(definition, "superclasses")
    for child in bases.children if bases else []:
        source = file.imports.get(text(child), Import("", ""))
        is_imported = source.module in ("cog", "pydantic", "pydantic.v1") and source.original == "BaseModel"
        if child.type == "identifier" and (is_imported or text(child) == "BaseModel"):
            return True
        if child.type == "attribute" and text(child).endswith(".BaseModel"):
            return True
    return False


def _typed_dict(definition: Node, models: Models) -> tuple[bool, bool, list[str]]:
    """Whether a class is a TypedDict, whether its fields are required by default, and its parents."""
    bases = part(definition, "superclasses")
    found, is_total, parents = False, True, []
    for child in bases.named_children if bases else []:
        source = models.file.imports.get(text(child), Import("", ""))
        is_base = text(child) == "TypedDict" or (source.module in TYPING and source.original == "TypedDict")
        if (child.type == "identifier" and is_base) or (
            child.type == "attribute" and text(child).endswith(".TypedDict")
        ):
            found = True
        elif child.type in ("identifier", "attribute") and text(child) in models.typed_dicts:
            found = True
            parents.append(text(child))
        elif child.type == "keyword_argument" and text(child).replace(" ", "") == "total=False":
            is_total = False
    return found, is_total, parents


def _members(definition: Node, file: File, is_total: bool | None) -> list[Member]:
    """The annotated fields of a class that Cog understands; it leaves the others out."""
    body = part(definition, "body")
    found = []
    for node in map(statement, body.named_children if body else []):
        left, kind, right = (part(node, name) for name in ("left", "type", "right"))
        if node.type != "assignment" or left is None or kind is None or left.type != "identifier":
            continue
        try:
            has_default = right is not None and _is_literal(right)
            member = Member(text(left), parse_annotation(kind), has_default, is_total)
        except Unsupported:
            continue
        found.append(member if is_total is None else _qualified(member, file))
    return found


def _is_literal(node: Node) -> bool:
    try:
        literals.read(node)
    except literals.NoLiteral:
        return False
    return True


def _qualified(member: Member, file: File) -> Member:
    """A TypedDict's field without its Required[...] or NotRequired[...]."""
    if member.type.kind != "generic" or len(member.type.arguments) != 1:
        return member
    name = member.type.name
    source = file.imports.get(name, Import("", ""))
    names = (name.rpartition(".")[2], source.original if source.module in TYPING else "")
    for qualifier, required in (("NotRequired", False), ("Required", True)):
        if qualifier in names:
            return replace(member, type=member.type.arguments[0], required=required)
    return member
