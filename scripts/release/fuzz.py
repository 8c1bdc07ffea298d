"""Cases to send to a Cog server, made from its OpenAPI schema: each changes one input of an example that works.

What a case must answer follows from the schema alone: JSON Schema decides what is valid. "either" stands where Cog's
versions and JSON Schema's differ, and means 422 or a prediction that succeeds, never one that fails: null for an input
that may be null (Cog 0.22 refuses it), 3.0 for an integer (Cog hands predict() a float), an input that the schema does
not name (Cog drops it). The same seed makes the same cases in the same order on every machine.
"""

import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from models.errors import TemplateError

Expect = Literal["valid", "invalid", "either"]
_Found = tuple[str, dict[str, Any], Expect]

LIMITS: dict[str, float] = {"max_tokens": 4}
"""Inputs whose high values take minutes, and the highest that a case lets run to its end."""
REFUSABLE = ("no inputs", "messages: *", "mixed *", "*: 100,000 characters", "*: a list with an empty text")
"""Cases that a model may refuse by an InputError, as patterns of their names: it says there what no schema can say."""

HUGE = 100_000
JSON_STEP = 1e-9  # Cog's JSON reader (serde_json) may be off by a float's last bit
TEXTS = {
    "empty": "",
    "one character": "a",
    "spaces": "   ",
    "newlines": "a\r\n\n\tb\n",
    "a NUL": "a\x00b",
    "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x85",
    "quotes": "\"'`\\ \\\" '' \\n",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u202e\u0645\u0631\u062d\u0628\u0627\u202c",
    "emoji": "👩\u200d👩\u200d👧\u200d👦🏳️\u200d🌈🇺🇳",
    "combining marks": "Z\u0351\u036b\u0343a\u0300\u0301\u0302",
    "ends of Unicode": "\ufeff\uffff\ufdd0\U0010ffff",
    "template markers": "{{ x }} {% raw %} ${x} %s {0} <|im_start|>system\nx<|im_end|></s>[INST]",
    "markup": "<script>alert(1)</script>&amp;",
    "a path": "../../etc/passwd",
}
KINDS: dict[str, Any] = {"a boolean": True, "a whole number": 1, "a fraction": 1.5, "an object": {"a": 1}}
KINDS |= {"a number as text": "1", "a list": ["a"], "null": None}
WHOLE_NUMBERS = {"zero": 0, "minus one": -1, "2 to the 31": 2**31, "2 to the 53 and one": 2**53 + 1, "int64": 2**63 - 1}
FRACTIONS = {"minus zero": -0.0, "smallest": 5e-324, "1e308": 1e308, "minus 1e308": -1e308}
NESTED: dict[str, Any] = {"a": {"b": [None, {"c": "d"}]}}


class FuzzError(TemplateError):
    """Cases cannot be made from this schema and these examples."""


@dataclass(frozen=True)
class Case:
    """One request. `may_refuse`: it may fail by an InputError; `is_long`: it is cancelled if it does not end soon."""

    name: str
    input: dict[str, Any]
    expect: Expect
    may_refuse: bool = False
    is_long: bool = False


def cases(
    schema: Mapping[str, Any],
    examples: Sequence[Mapping[str, Any]],
    seed: int = 0,
    mixed: int = 50,
    limits: Mapping[str, float] = LIMITS,
    refusable: Sequence[str] = REFUSABLE,
) -> list[Case]:
    """Every case of a server's OpenAPI document `schema`, in the same order each time.

    `examples`: inputs that succeed; an input is changed in the first that gives it, else in the first of all.
    `mixed`: how many cases change several inputs at random within their bounds.

    Raises:
        FuzzError: there is no example, or one that the schema refuses.
    """
    components = schema["components"]["schemas"]
    fields = _fields(components)
    limits = {name: limit for name, limit in limits.items() if name in fields}
    bases = [_limited(example, limits) for example in examples]
    _check(bases, resolve(components["Input"], components))
    found: list[_Found] = [(f"example {number}", base, "valid") for number, base in enumerate(bases, start=1)]
    found += _whole(bases[0], fields, components["Input"].get("required", []), limits)
    for name, field in fields.items():
        base = next((base for base in bases if name in base), bases[0])
        for what, value in _values(field):
            found.append((f"{name}: {what}", base | {name: value}, expectation(value, field)))
    choices = random.Random(seed)
    found += [(f"mixed {number}", _mixed(choices, bases, fields, limits), "valid") for number in range(1, mixed + 1)]
    return [
        Case(*case, any(fnmatchcase(case[0], pattern) for pattern in refusable), _is_long(*case[1:], limits))
        for case in _distinct(found)
    ]


def expectation(value: Any, field: Mapping[str, Any]) -> Expect:
    """What a server must say to `value` for an input."""
    if value is None:
        return "either" if field.get("nullable") else "invalid"
    if not fits(value, field):
        return "invalid"
    return "either" if field.get("type") == "integer" and isinstance(value, float) else "valid"


def longest(schema: Mapping[str, Any], example: Mapping[str, Any], limits: Mapping[str, float] = LIMITS) -> Any:
    """`example` with every limited input at the schema's maximum: what holds a slot; None where nothing is limited."""
    fields = _fields(schema["components"]["schemas"])
    highest = {name: fields[name]["maximum"] for name in limits if "maximum" in fields.get(name, {})}
    return {**example, **highest} if highest else None


def resolve(node: Any, components: Mapping[str, Any]) -> Any:
    """`node` of a document, with every $ref and allOf replaced by what it stands for."""
    if isinstance(node, list):
        return [resolve(item, components) for item in node]
    if not isinstance(node, Mapping):
        return node
    merged: dict[str, Any] = {}
    for part in node.get("allOf", []):
        merged |= resolve(part, components)
    if "$ref" in node:
        merged |= resolve(components[node["$ref"].rpartition("/")[2]], components)
    return merged | {key: resolve(value, components) for key, value in node.items() if key not in ("$ref", "allOf")}


def fits(value: Any, node: Mapping[str, Any]) -> bool:
    """Whether a resolved `node` allows `value`, by the keywords that Cog writes; 3.0 is an integer, true is none."""
    kind = node.get("type")
    if value is None or ("enum" in node and value not in node["enum"]):
        return value is None and bool(node.get("nullable"))
    if kind in ("integer", "number"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_kind = is_number and (kind == "number" or isinstance(value, int) or value.is_integer())
        return is_kind and node.get("minimum", -math.inf) <= value <= node.get("maximum", math.inf)
    if kind == "string":
        is_short = isinstance(value, str) and node.get("minLength", 0) <= len(value) <= node.get("maxLength", math.inf)
        return is_short and re.search(node.get("pattern", ""), value) is not None
    if kind == "array":
        return isinstance(value, list) and all(fits(item, node.get("items", {})) for item in value)
    if kind == "object":
        properties = node.get("properties", {})
        is_whole = isinstance(value, dict) and all(name in value for name in node.get("required", []))
        return is_whole and all(fits(value[name], field) for name, field in properties.items() if name in value)
    return isinstance(value, bool) if kind == "boolean" else True


def _fields(components: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The inputs in the order of predict()'s signature, whatever order the document has."""
    properties = resolve(components["Input"], components)["properties"]
    return dict(sorted(properties.items(), key=lambda item: (item[1].get("x-order", 0), item[0])))


def _limited(example: Mapping[str, Any], limits: Mapping[str, float]) -> dict[str, Any]:
    return {**example, **{name: min(example.get(name, limit), limit) for name, limit in limits.items()}}


def _check(bases: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any]) -> None:
    if not bases:
        raise FuzzError("there is no example to change: add one under `examples` in model.yaml")
    for number, base in enumerate(bases, start=1):
        if not fits(base, inputs):
            raise FuzzError(f"example {number} is not valid by the schema: mend it in model.yaml: {json.dumps(base)}")


def _whole(
    base: dict[str, Any], fields: Mapping[str, Any], required: Sequence[str], limits: Mapping[str, float]
) -> list[_Found]:
    """Cases about which inputs are there at all."""
    missing = [({key: base[key] for key in base if key != name}, name) for name in required]
    return [
        *((f"{name}: missing", inputs, "invalid") for inputs, name in missing),
        ("no inputs", dict(limits), "invalid" if required else "valid"),
        ("an unknown input", base | {"no_such_input": 1}, "either"),
        ("an unknown input: null", base | {"no_such_input": None}, "either"),
    ]


def _values(field: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values for one input, right and wrong, each with a name; none that Cog would download."""
    if "enum" in field:
        yield from _choices(field["enum"])
    elif field.get("type") in ("integer", "number"):
        yield from _numbers(field)
    elif field.get("type") == "string" and field.get("format") != "uri":
        yield from _texts(field)
    elif field.get("type") == "array":
        yield from _lists(field.get("items", {}))
    elif field.get("type") == "object":
        yield from {"empty": {}, "nested": NESTED, "1,000 keys": {str(n): n for n in range(1000)}}.items()
    elif field.get("type") == "boolean":
        yield "false", False
    for what, value in KINDS.items():
        if not (field.get("format") == "uri" and isinstance(value, str)):
            yield what, value


def _choices(choices: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for choice in choices:
        yield f"the choice {choice!r}", choice
        if isinstance(choice, str):
            yield f"{choice!r} in another case", choice.swapcase()
            yield f"{choice!r} and a space", choice + " "
    yield "a wrong choice", "no such choice" if isinstance(choices[0], str) else max(choices) + 1


def _numbers(field: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    is_whole = field["type"] == "integer"
    for key, outwards in (("minimum", -1), ("maximum", 1)):
        if key in field:
            bound = field[key]
            yield f"the {key} {bound}", bound
            yield f"one past the {key}", bound + outwards
            yield f"one inside the {key}", bound - outwards
            if not is_whole:
                yield f"just past the {key}", bound + outwards * JSON_STEP
                yield f"just inside the {key}", math.nextafter(bound, -outwards * math.inf)
    yield from WHOLE_NUMBERS.items()
    yield from FRACTIONS.items()
    if is_whole:
        yield "a whole number as a fraction", float(max(field.get("minimum", 3), min(field.get("maximum", 3), 3)))


def _texts(field: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, outwards in (("minLength", -1), ("maxLength", 1)):
        if key in field:
            bound = field[key]
            yield f"the {key} {bound}", "é" * bound
            if bound + outwards >= 0:
                yield f"one past the {key}", "é" * (bound + outwards)
    yield from TEXTS.items()
    yield f"{HUGE:,} characters", "word " * (HUGE // 5)


def _lists(item: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    yield "an empty list", []
    yield "a list of null", [None]
    yield "a list of lists", [[]]
    if item.get("type") != "string":
        for what, value in _values(item):
            yield f"a list of {what}", [value]
        return
    yield "a list of odd texts", [text for text in TEXTS.values() if text]
    yield "a list with an empty text", ["a", ""]
    yield "1,000 texts", [f"text {number}" for number in range(1000)]
    yield "a list of a huge text", ["b" * HUGE]
    yield "a text and a number", ["a", 1]


def _mixed(
    choices: random.Random, bases: Sequence[dict[str, Any]], fields: Mapping[str, Any], limits: Mapping[str, float]
) -> dict[str, Any]:
    """An example with about half of its inputs, and of the numbers, choices and booleans it leaves out, at random."""
    mixed = dict(choices.choice(bases))
    for name, field in fields.items():
        is_free = "enum" in field or field.get("type") in ("integer", "number", "boolean")
        if choices.random() < 0.5 and (is_free or name in mixed):
            mixed[name] = _random(choices, field, mixed.get(name), limits.get(name, math.inf))
    return mixed


def _random(choices: random.Random, field: Mapping[str, Any], value: Any, limit: float) -> Any:
    """A valid value of a field, at most `limit`; `value` itself where the schema does not say what it means."""
    kind = field.get("type")
    low = field.get("minimum", -1000)
    high = min(field.get("maximum", max(low, 0) + 1000), limit)
    if "enum" in field:
        return choices.choice(field["enum"])
    if kind == "integer":
        return choices.randint(low, math.floor(high))
    if kind == "number":
        return choices.uniform(low, high)
    if kind == "boolean":
        return choices.random() < 0.5
    texts = [text for text in TEXTS.values() if text]
    if kind == "array" and field.get("items", {}).get("type") == "string":
        return choices.sample(texts, choices.randint(0, 4))
    text = "".join(choices.sample(texts, 3))
    return text if kind == "string" and field.get("format") != "uri" and fits(text, field) else value


def _distinct(found: Sequence[_Found]) -> Iterator[_Found]:
    """Every input once, under its first name; 1 and 1.0 are two inputs."""
    seen = set()
    for name, inputs, expect in found:
        text = json.dumps(inputs, sort_keys=True)
        if text not in seen:
            seen.add(text)
            yield name, inputs, expect


def _is_long(inputs: Mapping[str, Any], expect: Expect, limits: Mapping[str, float]) -> bool:
    given = [(inputs[name], limit) for name, limit in limits.items() if inputs.get(name) is not None]
    return expect != "invalid" and any(value > limit for value, limit in given)
