"""What a new version changes for those who call the model: every difference, and whether it breaks them.

The contract is Cog's OpenAPI schema of a class: its inputs, its output, and whether it streams. What the server is
(its Cog version, its slots) is no part of it.
"""

from collections.abc import Sequence
from typing import Any, get_args

from scripts.contract.comparison import Comparison, Difference, Kind
from scripts.contract.document import ContractError
from scripts.contract.meaning import read

__all__ = ["ContractError", "Difference", "compare", "report", "summary", "undescribed"]

_VERSION_PARTS: dict[Kind, str] = {"breaking": "major", "compatible": "minor", "cosmetic": "patch"}
_HEADINGS: dict[Kind, str] = {
    "breaking": "Breaking: callers that work today would fail, or get something else.",
    "compatible": "Compatible: callers that work today go on as before.",
    "cosmetic": "Cosmetic: only what people read changes.",
}


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    """Every difference between two schemas of Cog, whichever versions of Cog wrote them; breaking ones first.

    Raises:
        ContractError: one of them is no such schema.
    """
    before, now = read(old), read(new)
    inputs, output = Comparison("input"), Comparison("output")
    inputs.members("input", before.inputs, now.inputs)
    output.value("output", before.output, now.output)
    if before.streams != now.streams:
        what = "is served as a stream of events now" if now.streams else "asking for a stream of events is refused now"
        output.note("output.x-cog-streaming", "streams", "narrower" if now.streams else "other", what)
    kinds = get_args(Kind)
    return sorted(inputs.found + output.found, key=lambda difference: kinds.index(difference.kind))


def summary(differences: list[Difference]) -> str:
    """One line: the part of the version number that has to grow, and how many there are of each kind."""
    kinds = [difference.kind for difference in differences]
    counts = [f"{kinds.count(kind)} {kind}" for kind in _VERSION_PARTS if kind in kinds]
    part = next((part for kind, part in _VERSION_PARTS.items() if kind in kinds), "")
    return f"{part}: {', '.join(counts)}" if part else "no change"


def undescribed(document: dict[str, Any]) -> list[str]:
    """The inputs that have no description, by name."""
    return [name for name, member in read(document).inputs.items() if not member.description.strip()]


def report(differences: list[Difference], undescribed: Sequence[str] = ()) -> str:
    """What a person reads: breaking differences first, each with where, what and what to do instead.

    `undescribed`: the inputs of the new version without a description.
    """
    lines = [summary(differences)]
    for kind, heading in _HEADINGS.items():
        those = [difference for difference in differences if difference.kind == kind]
        lines += ["", heading] if those else []
        for difference in those:
            lines.append(f"  {difference.path}: {difference.what}")
            lines += [f"    instead: {difference.remedy}"] if difference.remedy else []
    if undescribed:
        lines += ["", f"Without a description, which is what a caller reads: {', '.join(undescribed)}"]
    if lines[0].startswith("major"):
        lines += ["", 'To ship it anyway, as a new major version: make push TO=... BREAKING="why"']
    return "\n".join(lines)
