"""What a new version changes for callers of the model: every difference, and whether it breaks them.

The contract is Cog's OpenAPI schema of a class: its inputs, its output, and whether it streams. The server's version of
Cog and its number of slots are not part of it.

An input may become wider: a narrower one refuses requests that worked. An output may become narrower: a wider one gives
readers values that they have never seen.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

from scripts.contract.difference import (
    LABELS,
    REMEDIES_OF_INPUT,
    REMEDIES_OF_OUTPUT,
    Difference,
    Kind,
    bound,
    listed,
    show,
    type_name,
    was,
)
from scripts.contract.meaning import Form, Limit, Member, Value, read

Effect = Literal["narrower", "wider", "other"]

_NARROWS_UPWARD = ("minimum", "minLength", "minItems")
_ALIKE = 0.6  # difflib ratio from which one description counts as an edited version of the other


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    """Every difference between two schemas of Cog, whichever versions of Cog wrote them; breaking ones first.

    Raises:
        ContractError: one of them is not such a schema.
    """
    before, now = read(old), read(new)
    inputs, output = Comparison("input"), Comparison("output")
    inputs.members("input", before.inputs, now.inputs)
    output.value("output", before.output, now.output)
    if before.streams != now.streams:
        what = "is now served as a stream of events" if now.streams else "a request for a stream of events is refused"
        output.note("output.x-cog-streaming", "streams", "narrower" if now.streams else "other", what)
    kinds = get_args(Kind)
    return sorted(inputs.found + output.found, key=lambda difference: kinds.index(difference.kind))


class Comparison:
    """Collects the differences of the inputs, or of the output."""

    def __init__(self, side: Literal["input", "output"]) -> None:
        self.found: list[Difference] = []
        self._side = side

    def note(self, path: str, topic: str, effect: Effect, what: str, name: str = "it") -> None:
        """Add a difference in meaning; `topic` selects the remedy, which names `name`."""
        harmless: Effect = "wider" if self._side == "input" else "narrower"
        if effect == harmless:
            self.found.append(Difference(path, "compatible", what))
            return
        table = REMEDIES_OF_INPUT if self._side == "input" else REMEDIES_OF_OUTPUT
        self.found.append(Difference(path, "breaking", what, table[topic].format(name=name)))

    def members(self, path: str, old: dict[str, Member], new: dict[str, Member]) -> None:
        """Compare inputs, or the fields of an object, by name."""
        renamed = _renamed(old, new)
        for name, member in old.items():
            now = renamed.get(name, name)
            if name in renamed:
                self.note(f"{path}.{name}", "renamed", "other", f"renamed to {now}{self._lost()}")
            if now in new:
                self._member(f"{path}.{now}", now, member, new[now])
            else:
                self.note(f"{path}.{name}", "removed", "other", f"removed{self._lost()}", name)
        for name in new:
            if name not in old and name not in renamed.values():
                self._added(f"{path}.{name}", name, new[name])
        self._compare_order(path, [(renamed.get(name, name), member) for name, member in old.items()], new)

    def value(self, path: str, old: Value, new: Value) -> None:
        """Compare everything that a value may be."""
        pairs = _pairs(old.forms, new.forms)
        kept = [form for pair in pairs if pair[0].type == pair[1].type for form in pair]
        lost = [form for form in old.forms if _is_alone(form, kept, new.forms)]
        gained = [form for form in new.forms if _is_alone(form, kept, old.forms)]
        if lost or gained:
            effect: Effect = "other" if lost and gained else "narrower" if lost else "wider"
            self.note(f"{path}.type", "type", effect, was("the type", type_name(old), type_name(new)))
        if old.nullable != new.nullable:
            what = "may now be null" if new.nullable else "may no longer be null"
            self.note(f"{path}.nullable", "nullable", "wider" if new.nullable else "narrower", what)
        for before, now in pairs:
            self._form(path, before, now)

    def _lost(self) -> str:
        """What happens to the old name. Source: Cog 0.22, crates/coglet/src/input_validation.rs, strip_unknown."""
        return ": Cog silently drops the old one from a request" if self._side == "input" else ""

    def _added(self, path: str, name: str, member: Member) -> None:
        if self._side == "output":
            self.note(path, "added", "narrower", "added")
        elif member.required:
            self.note(path, "required", "narrower", "added, and required: a request without it is refused", name)
        else:
            self.note(path, "added", "wider", f"added, optional: {show(member.default)} if it is left out")

    def _member(self, path: str, name: str, old: Member, new: Member) -> None:
        before = (
            replace(old.value, nullable=new.value.nullable) if old.unknown_default or new.unknown_default else old.value
        )
        self.value(path, before, new.value)
        if new.required and not old.required:
            what = f"now required: it could be left out, and was {show(old.default)} then"
            self.note(f"{path}.required", "required", "narrower", what, name)
        elif old.required and not new.required:
            what = f"no longer required: {show(new.default)} if it is left out"
            self.note(f"{path}.required", "required", "wider", what)
        elif old.default != new.default and not (old.unknown_default or new.unknown_default):
            what = was("the default", show(old.default), show(new.default))
            self.note(f"{path}.default", "default", "other", f"{what}: other results if it is left out")
        if old.deprecated != new.deprecated:
            what = "now deprecated: still accepted, but clients may warn" if new.deprecated else "no longer deprecated"
            self.found.append(Difference(f"{path}.deprecated", "compatible", what))
        for keyword in ("description", "title"):
            before, now = getattr(old, keyword), getattr(new, keyword)
            if before != now:
                what = was(f"the {keyword}", show(before), show(now))
                self.found.append(Difference(f"{path}.{keyword}", "cosmetic", what))

    def _compare_order(self, path: str, old: Sequence[tuple[str, Member]], new: dict[str, Member]) -> None:
        """Compare the order of the names that both have; a new one between them changes nothing."""
        both = {name: member for name, member in old if name in new and None not in (member.order, new[name].order)}
        before = sorted(both, key=lambda name: both[name].order or 0)
        now = sorted(both, key=lambda name: new[name].order or 0)
        moved = [index for index, name in enumerate(before) if now[index] != name]
        if moved:
            first, last = moved[0], moved[-1] + 1
            what = was("the order", ", ".join(before[first:last]), ", ".join(now[first:last]))
            self.found.append(Difference(f"{path}.x-order", "cosmetic", what))

    def _form(self, path: str, old: Form, new: Form) -> None:
        if old.format != new.format:
            self.note(f"{path}.format", "format", "other", was("the format", old.format, new.format))
        self._choices(f"{path}.enum", old.choices, new.choices)
        for keyword in _in_either(old.limits, new.limits):
            self._limit(path, keyword, old.limits.get(keyword), new.limits.get(keyword))
        for keyword in _in_either(old.rules, new.rules):
            before, now = old.rules.get(keyword), new.rules.get(keyword)
            if before != now:
                what = was(LABELS.get(keyword, keyword), before and show(before), now and show(now))
                self.note(f"{path}.{keyword}", "rule", _effect(before, now), what)
        self._contents(path, old, new)

    def _contents(self, path: str, old: Form, new: Form) -> None:
        """Compare the contents of lists, objects and streams."""
        if old.items and new.items:
            self.value(f"{path}.items", old.items, new.items)
        if old.values and new.values:
            self.value(f"{path}.additionalProperties", old.values, new.values)
        elif old.values or new.values:
            before, now = (type_name(each) if each else None for each in (old.values, new.values))
            what = was("the type of the values", before, now)
            self.note(f"{path}.additionalProperties", "type", _effect(old.values, new.values), what)
        self.members(path, old.members, new.members)
        if self._side == "output":
            self._pieces(path, old, new)

    def _pieces(self, path: str, old: Form, new: Form) -> None:
        """The complete list is the same in both; only readers of the pieces can lose something."""
        if old.array_type != new.array_type:
            what = "now arrives in pieces" if new.array_type else "now arrives in one piece"
            self.note(f"{path}.x-cog-array-type", "array_type", "narrower" if new.array_type else "other", what)
        if old.array_display != new.array_display:
            what = was("the way clients show the list", old.array_display, new.array_display)
            self.note(f"{path}.x-cog-array-display", "array_display", "other", what)

    def _choices(self, path: str, old: list[Any] | None, new: list[Any] | None) -> None:
        if old is None or new is None:
            if old != new:
                what = was("the choices", listed(old), listed(new))
                self.note(path, "choices", _effect(old, new), what)
            return
        gone, added = [one for one in old if one not in new], [one for one in new if one not in old]
        if gone:
            self.note(path, "choices", "narrower", f"no longer a choice: {listed(gone)}")
        if added:
            self.note(path, "choices", "wider", f"a new choice: {listed(added)}")
        if not gone and not added and old != new:
            self.found.append(Difference(path, "cosmetic", was("the order of the choices", listed(old), listed(new))))

    def _limit(self, path: str, keyword: str, old: Limit | None, new: Limit | None) -> None:
        if old == new:
            return
        effect = _effect(old, new)
        if old and new:
            grew = (new.value, new.exclusive) > (old.value, old.exclusive)
            if keyword not in _NARROWS_UPWARD:
                grew = (new.value, not new.exclusive) > (old.value, not old.exclusive)
            effect = "narrower" if grew == (keyword in _NARROWS_UPWARD) else "wider"
        what = was(LABELS[keyword], old and bound(old), new and bound(new))
        self.note(f"{path}.{keyword}", "limit", effect, what)


def _pairs(old: list[Form], new: list[Form]) -> list[tuple[Form, Form]]:
    """The forms to compare with each other: equal ones first, then those that are most alike."""
    pairs: list[tuple[Form, Form]] = []
    alike: list[Callable[[Form, Form], bool]] = [
        lambda before, now: before == now,
        lambda before, now: (before.type, before.format) == (now.type, now.format),
        lambda before, now: before.type == now.type,
        lambda before, now: {before.type, now.type} == {"integer", "number"},
    ]
    for are_alike in alike:
        for before in old:
            rest = [now for now in new if all(now is not taken for _, taken in pairs)]
            now = next((each for each in rest if are_alike(before, each)), None)
            if now and all(before is not taken for taken, _ in pairs):
                pairs.append((before, now))
    return pairs


def _is_alone(form: Form, kept: list[Form], others: list[Form]) -> bool:
    """Whether no other form equals or includes this one; `kept`: forms paired with one of the same type."""
    if any(form is each for each in kept):
        return False
    return not any(form == other or (form.type, other.type) == ("integer", "number") for other in others)


def _renamed(old: dict[str, Member], new: dict[str, Member]) -> dict[str, str]:
    """Old name -> new name of members that were renamed: of the same type, and alike or at the same position."""
    gone, new_names = [name for name in old if name not in new], [name for name in new if name not in old]
    is_only_pair = len(gone) == len(new_names) == 1
    likenesses = sorted(
        ((_likeness(old[before], new[now], is_only_pair), before, now) for before in gone for now in new_names),
        reverse=True,
    )
    renamed: dict[str, str] = {}
    for likeness, before, now in likenesses:
        if likeness and before not in renamed and now not in renamed.values():
            renamed[before] = now
    return renamed


def _likeness(old: Member, new: Member, is_only_pair: bool) -> float:
    """0 if they have nothing in common. Fields of an output have no position, so a single pair counts as in place."""
    if type_name(old.value) != type_name(new.value):
        return 0
    ratio = difflib.SequenceMatcher(None, old.description, new.description).ratio() if old.description else 0
    in_place = old.order == new.order and (old.order is not None or is_only_pair)
    return ratio if ratio >= _ALIKE else _ALIKE / 2 if in_place else 0


def _in_either(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys([*old, *new]))


def _effect(old: Any, new: Any) -> Effect:
    """The effect of a rule that is added, removed, or replaced by another one."""
    return "narrower" if old is None else "wider" if new is None else "other"
