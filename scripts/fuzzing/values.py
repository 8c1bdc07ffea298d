"""Right and wrong values for one input, and what a schema says about each.

JSON Schema decides what is valid. "either" is used where Cog and JSON Schema differ. It allows a 422 or a prediction
that succeeds, but not one that fails: null for a nullable input (Cog 0.22 refuses it), 3.0 for an integer (Cog passes a
float to predict()), unusual characters against a pattern (regular expression engines differ on them).
"""

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from scripts.contract.meaning import Form, Limit, Value
from scripts.fuzzing.files import data_uris

Expect = Literal["valid", "invalid", "either"]

HUGE = 100_000
LARGEST = 2**63 - 1  # Cog passes larger integers on as floats
JSON_STEP = 1e-9  # relative; the last bit of a float may change in Cog's JSON reader (serde_json)
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
WHOLE_NUMBERS = {"zero": 0, "minus one": -1, "2 to the 31": 2**31, "2 to the 53 and one": 2**53 + 1, "int64": LARGEST}
FRACTIONS = {"minus zero": -0.0, "smallest": 5e-324, "1e308": 1e308, "minus 1e308": -1e308}
OBJECTS: dict[str, Any] = {
    "empty": {},
    "nested": {"a": {"b": [None, {"c": "d"}]}},
    "1,000 keys": {str(number): number for number in range(1000)},
}


def expectation(value: Any, allowed: Value) -> Expect:
    """What a server must answer to `value` for an input."""
    if value is None:
        return "either" if allowed.nullable else "invalid"
    if isinstance(value, str) and any(_is_unsure(value, form.rules["pattern"]) for form in _with_pattern(allowed)):
        return "either"
    if not fits(value, allowed):
        return "invalid"
    kinds = {form.type for form in allowed.forms}
    return "either" if "integer" in kinds and "number" not in kinds and isinstance(value, float) else "valid"


def fits(value: Any, allowed: Value, is_output: bool = False) -> bool:
    """Whether the schema allows `value`; 3.0 is an integer, true is not.

    `is_output`: an object without declared members allows any value, because that is how Cog writes Any; so does a
    secret, which is a string in Cog's schema but an object in its answers.
    """
    if value is None and allowed.nullable:
        return True
    return any(_fits(value, form, is_output) for form in allowed.forms)


def is_guess(value: Any, allowed: Value) -> bool:
    """Whether the schema leaves open what a valid `value` means: an object's members, a file's content, a secret.

    A model that needs a particular value may fail on it.
    """
    for form in allowed.forms:
        if _fits(value, form, is_output=False):
            is_list_of_guesses = form.items is not None and any(is_guess(item, form.items) for item in value)
            if form.format in ("uri", "password") or _is_opaque(form) or is_list_of_guesses:
                return True
    return False


def samples(allowed: Value, known: Sequence[Any] = ()) -> Iterator[tuple[str, Any]]:
    """Right and wrong values for an input, each with a name; none makes Cog download a file.

    `known`: values from examples, which work.
    """
    for form in allowed.forms:
        yield from _samples_of(form, known)
    takes_files = _takes_files(allowed)
    for what, value in KINDS.items():
        if not (takes_files and isinstance(value, str | list)):
            yield what, value


def sample_at_random(choices: random.Random, allowed: Value, value: Any, limit: float) -> Any:
    """A valid value, at most `limit`; `value` itself if the schema does not say what a value means."""
    form = choices.choice(allowed.forms)
    if form.choices:
        return choices.choice([one for one in form.choices if isinstance(one, str) or one <= limit])
    if form.type in ("integer", "number"):
        return _number_at_random(choices, form, limit)
    if form.type == "boolean":
        return choices.random() < 0.5
    texts = [text for text in TEXTS.values() if text]
    made: Any = None
    if form.type == "array" and form.items and _are_texts(form.items):
        made = choices.sample(texts, choices.randint(0, 4))
    elif form.type == "string" and form.format != "uri":
        made = "".join(choices.sample(texts, 3))
    is_certain = made is not None and expectation(made, allowed) == "valid" and not is_guess(made, allowed)
    return made if is_certain else value


def is_free(allowed: Value) -> bool:
    """Whether every valid value means something by itself: numbers, choices and booleans."""
    return all(form.choices or form.type in ("integer", "number", "boolean") for form in allowed.forms)


def nearest(allowed: Value, wanted: float) -> float | None:
    """The allowed number that is nearest to `wanted`; None if no number is allowed."""
    numbers = [number for number in (wanted, *_ends(allowed)) if fits(number, allowed)]
    return min(numbers, key=lambda number: abs(number - wanted), default=None)


def highest(allowed: Value) -> float | None:
    """The highest allowed number; None if there is no upper bound."""
    is_bounded = any("maximum" in form.limits or form.choices for form in allowed.forms)
    return max((number for number in _ends(allowed) if fits(number, allowed)), default=None) if is_bounded else None


def _fits(value: Any, form: Form, is_output: bool) -> bool:
    if is_output and (_is_opaque(form) or form.format == "password"):
        return True
    if form.choices is not None and value not in form.choices:
        return False
    if form.type in ("integer", "number"):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_kind = is_number and (form.type == "number" or isinstance(value, int) or value.is_integer())
        return is_kind and _is_within(value, form.limits, "minimum", "maximum")
    if form.type == "string":
        is_text = isinstance(value, str) and _is_within(len(value), form.limits, "minLength", "maxLength")
        return is_text and _matches(value, form.rules.get("pattern", ""))
    if form.type == "array":
        is_list = isinstance(value, list) and _is_within(len(value), form.limits, "minItems", "maxItems")
        return is_list and form.items is not None and all(fits(item, form.items, is_output) for item in value)
    if form.type == "object":
        return isinstance(value, dict) and _has_members(value, form, is_output)
    return isinstance(value, bool)


def _has_members(value: Mapping[str, Any], form: Form, is_output: bool) -> bool:
    for name, member in form.members.items():
        if not (fits(value[name], member.value, is_output) if name in value else member.value.nullable):
            return False
    others = [value[name] for name in value if name not in form.members]
    return form.values is None or all(fits(other, form.values, is_output) for other in others)


def _is_opaque(form: Form) -> bool:
    return form.type == "object" and not form.members and form.values is None


def _is_within(size: float, limits: Mapping[str, Limit], low: str, high: str) -> bool:
    lowest, highest = limits.get(low, Limit(-math.inf)), limits.get(high, Limit(math.inf))
    is_excluded = (lowest.exclusive and size == lowest.value) or (highest.exclusive and size == highest.value)
    return lowest.value <= size <= highest.value and not is_excluded


def _matches(text: str, pattern: str) -> bool:
    return re.search(pattern, text) is not None if _is_regular(pattern) else True


def _is_unsure(text: str, pattern: str) -> bool:
    """Whether Cog may see a match where Python sees none, or the other way round."""
    return not (text.isascii() and text.isprintable() and _is_regular(pattern))


def _is_regular(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _with_pattern(allowed: Value) -> list[Form]:
    return [form for form in allowed.forms if "pattern" in form.rules]


def _takes_files(allowed: Value) -> bool:
    return any(form.format == "uri" or (form.items and _takes_files(form.items)) for form in allowed.forms)


def _are_texts(items: Value) -> bool:
    return all(form.type == "string" and form.format != "uri" and not form.choices for form in items.forms)


def _samples_of(form: Form, known: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    if form.choices:
        yield from _choices(form.choices)
    elif form.type in ("integer", "number"):
        yield from _numbers(form)
    elif form.format == "uri":
        yield from data_uris(form.rules.get("x-cog-accept"))
    elif form.type == "string":
        yield from _texts(form)
    elif form.type == "array" and form.items:
        yield from _lists(form.items, [item for one in known if isinstance(one, list) for item in one])
    elif form.type == "object":
        yield from OBJECTS.items()
    elif form.type == "boolean":
        yield "false", False


def _choices(choices: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for choice in choices:
        yield f"the choice {choice!r}", choice
        if isinstance(choice, str):
            yield f"{choice!r} in another case", choice.swapcase()
            yield f"{choice!r} and a space", choice + " "
    is_text = any(isinstance(choice, str) for choice in choices)
    yield "a wrong choice", "no such choice" if is_text else max(choices) + 1


def _numbers(form: Form) -> Iterator[tuple[str, float]]:
    is_whole = form.type == "integer"
    for key, outwards in (("minimum", -1), ("maximum", 1)):
        if key in form.limits and not (is_whole and abs(form.limits[key].value) > LARGEST):
            bound = _plain_number(form.limits[key].value)
            yield f"the {key} {bound}", bound
            yield f"one past the {key}", bound + outwards
            yield f"one inside the {key}", bound - outwards
            if not is_whole:
                step = outwards * JSON_STEP * max(1, abs(bound))
                yield f"just past the {key}", bound + step
                yield f"just inside the {key}", bound - step
    yield from WHOLE_NUMBERS.items()
    yield from FRACTIONS.items()
    if is_whole and (whole := nearest(Value([form], False), 3)) is not None:
        yield "a whole number as a fraction", float(whole)


def _texts(form: Form) -> Iterator[tuple[str, str]]:
    for key, outwards in (("minLength", -1), ("maxLength", 1)):
        if key in form.limits and (bound := int(form.limits[key].value)) <= HUGE:
            yield f"the {key} {bound}", "é" * bound
            if bound + outwards >= 0:
                yield f"one past the {key}", "é" * (bound + outwards)
    yield from TEXTS.items()
    yield f"{HUGE:,} characters", "word " * (HUGE // 5)


def _lists(items: Value, known: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    yield "an empty list", []
    yield "a list of null", [None]
    yield "a list of lists", [[]]
    if _are_texts(items):
        yield "a list of odd texts", [text for text in TEXTS.values() if text]
        yield "a list with an empty text", ["a", ""]
        yield "1,000 texts", [f"text {number}" for number in range(1000)]
        yield "a list of a huge text", ["b" * HUGE]
        yield "a text and a number", ["a", 1]
        return
    for what, value in samples(items, known):
        yield f"a list of {what}", [value]
    if known:
        yield "two values of the examples", [known[0], known[-1]]


def _ends(allowed: Value) -> list[float]:
    """The numbers where the allowed range may end, and those next to them."""
    bounds = [_plain_number(limit.value) for form in allowed.forms for limit in form.limits.values()]
    steps = [bound + step * max(1, abs(bound)) for bound in bounds for step in (JSON_STEP, -JSON_STEP)]
    choices = [choice for form in allowed.forms for choice in form.choices or []]
    return [*bounds, *steps, *(choice for choice in choices if not isinstance(choice, str))]


def _number_at_random(choices: random.Random, form: Form, limit: float) -> float:
    low = form.limits["minimum"].value if "minimum" in form.limits else None
    high = form.limits["maximum"].value if "maximum" in form.limits else None
    low = low if low is not None else min(0 if high is None else high, 0) - 1000
    high = min(high if high is not None else max(low, 0) + 1000, limit)
    if form.type == "integer":
        return choices.randint(max(math.ceil(low), -LARGEST), min(math.floor(high), LARGEST))
    return choices.uniform(low, high)


def _plain_number(bound: float) -> float:
    return int(bound) if float(bound).is_integer() else bound
