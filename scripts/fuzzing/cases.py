"""Cases to send to a Cog server, made from its OpenAPI schema: each changes one input of an example that works.

The schema alone decides what the server must answer (scripts/fuzzing/values.py). An input that the schema does not name
may be refused or ignored. The same seed makes the same cases in the same order on every machine.
"""

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.errors import TemplateError
from scripts.contract import meaning
from scripts.contract.meaning import Member
from scripts.fuzzing import values
from scripts.fuzzing.values import Expect

_Found = tuple[str, dict[str, Any], Expect]


NO_LIMITS: Mapping[str, float] = {}


class FuzzError(TemplateError):
    """Cases cannot be made from this schema and these examples."""


@dataclass(frozen=True)
class Case:
    """One request.

    `may_refuse`: it may fail with an InputError, because a schema cannot express every rule of a model; `is_guess`: it
    may fail in any way, because the schema does not say what the value means; `is_long`: it is cancelled if it does not
    end soon.
    """

    name: str
    input: dict[str, Any]
    expect: Expect
    may_refuse: bool = False
    is_guess: bool = False
    is_long: bool = False


def cases(
    schema: Mapping[str, Any],
    examples: Sequence[Mapping[str, Any]],
    seed: int = 0,
    mixed: int = 50,
    limits: Mapping[str, float] = NO_LIMITS,
) -> list[Case]:
    """Every case of a server's OpenAPI document `schema`, in the same order each time.

    `examples`: inputs that succeed; a case changes one input of the first example that has it, else of the first one.
    `mixed`: how many cases change several inputs at random within their bounds. `limits`: inputs whose high values take
    minutes, each with the highest value that runs to its end (moved into the schema's bounds).

    Raises:
        FuzzError: there is no example, or the schema refuses one.
    """
    fields = _fields(schema)
    limits = _within_bounds(limits, fields)
    bases = [_limited(example, limits) for example in examples]
    _check(bases, fields)
    found: list[_Found] = [(f"example {number}", base, "valid") for number, base in enumerate(bases, start=1)]
    examples_named, guesses = {name for name, *_ in found}, set()
    found += _presence(bases[0], fields, limits)
    for name, field in fields.items():
        base = next((base for base in bases if name in base), bases[0])
        known = [base[name] for base in bases if name in base]
        for what, value in _samples(field, known):
            found.append((f"{name}: {what}", base | {name: value}, values.expectation(value, field.value)))
            if values.is_guess(value, field.value):
                guesses.add(found[-1][0])
    choices = random.Random(seed)
    found += [(f"mixed {number}", _mixed(choices, bases, fields, limits), "valid") for number in range(1, mixed + 1)]
    return [
        Case(*case, case[0] not in examples_named, case[0] in guesses, _is_long(*case[1:], limits))
        for case in _distinct(found)
    ]


def longest(schema: Mapping[str, Any], example: Mapping[str, Any], limits: Mapping[str, float]) -> Any:
    """`example` with every limited input at the schema's maximum, to hold a slot; None if no input is limited."""
    fields = _fields(schema)
    found = {name: values.highest(fields[name].value) for name in _within_bounds(limits, fields)}
    highest = {name: number for name, number in found.items() if number is not None}
    return {**example, **highest} if highest else None


def _fields(schema: Mapping[str, Any]) -> dict[str, Member]:
    """The inputs in the order of predict()'s signature."""
    return dict(sorted(meaning.read(schema).inputs.items(), key=lambda item: (item[1].order or 0, item[0])))


def _within_bounds(limits: Mapping[str, float], fields: Mapping[str, Member]) -> dict[str, float]:
    """The limits of the inputs that exist, each moved to the nearest value that the input's own bounds allow."""
    found = {name: values.nearest(fields[name].value, limit) for name, limit in limits.items() if name in fields}
    return {name: limit for name, limit in found.items() if limit is not None}


def _limited(example: Mapping[str, Any], limits: Mapping[str, float]) -> dict[str, Any]:
    given = {name: example[name] for name in limits if isinstance(example.get(name), int | float)}
    return {**example, **{name: min(given.get(name, limit), limit) for name, limit in limits.items()}}


def _check(bases: Sequence[Mapping[str, Any]], fields: Mapping[str, Member]) -> None:
    if not bases:
        raise FuzzError("there is no example to change: add one under `examples` in model.yaml")
    for number, base in enumerate(bases, start=1):
        wrong = [name for name, field in fields.items() if not _is_right(base, name, field)]
        if wrong:
            raise FuzzError(
                f"example {number} does not fit the schema: correct its {', '.join(wrong)} in model.yaml: "
                f"{json.dumps(base)}"
            )


def _is_right(base: Mapping[str, Any], name: str, field: Member) -> bool:
    return values.fits(base[name], field.value) if name in base else not field.required


def _presence(base: dict[str, Any], fields: Mapping[str, Member], limits: Mapping[str, float]) -> list[_Found]:
    """Cases about which inputs are present."""
    required = [name for name, field in fields.items() if field.required]
    missing = [({key: base[key] for key in base if key != name}, name) for name in required]
    return [
        *((f"{name}: missing", inputs, "invalid") for inputs, name in missing),
        ("no inputs", dict(limits), "invalid" if set(required) - set(limits) else "valid"),
        ("an unknown input", base | {"no_such_input": 1}, "either"),
        ("an unknown input: null", base | {"no_such_input": None}, "either"),
    ]


def _samples(field: Member, known: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Values for one input, including its default; not a file's default, which Cog would download."""
    yield from values.samples(field.value, known)
    if field.default is not None and not any(form.format == "uri" for form in field.value.forms):
        yield "its default", field.default


def _mixed(
    choices: random.Random, bases: Sequence[dict[str, Any]], fields: Mapping[str, Member], limits: Mapping[str, float]
) -> dict[str, Any]:
    """An example with random values for about half of its inputs, and for some numbers, choices and booleans more."""
    mixed = dict(choices.choice(bases))
    for name, field in fields.items():
        if choices.random() < 0.5 and (values.is_free(field.value) or name in mixed):
            limit = limits.get(name, math.inf)
            mixed[name] = values.sample_at_random(choices, field.value, mixed.get(name), limit)
    return mixed


def _distinct(found: Sequence[_Found]) -> Iterator[_Found]:
    """Each input once, under its first name; 1 and 1.0 count as two inputs."""
    seen = set()
    for name, inputs, expect in found:
        text = json.dumps(inputs, sort_keys=True)
        if text not in seen:
            seen.add(text)
            yield name, inputs, expect


def _is_long(inputs: Mapping[str, Any], expect: Expect, limits: Mapping[str, float]) -> bool:
    given = [(inputs[name], limit) for name, limit in limits.items() if isinstance(inputs.get(name), int | float)]
    return expect != "invalid" and any(value > limit for value, limit in given)
