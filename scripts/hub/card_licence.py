"""The card's section on the licence: what a reader may do, in plain words, and what must be shown."""

from collections.abc import Sequence

from models.manifest import Manifest
from scripts.licences import answers
from scripts.licences.answers import Answer
from scripts.licences.terms import Act, Terms, terms_of

_READER: dict[Act, str] = {
    "share": "Pass the weights on",
    "change": "Change them and pass the result on",
    "sell": "Charge for what you build with them, such as an API",
    "relicense": "Put what you made from them under another licence",
}


def plain_words(model: Manifest) -> str:
    """A list of what the licence allows, with a link to its text and to the licence that it follows."""
    terms = terms_of(model.license, model.slug)
    lines = [f"[{terms.name}]({model.license.link or terms.link}). In plain words (not legal advice):", ""]
    found = {act: answers.answer(terms, act, changed=True) for act in _READER}
    lines += [f"- {_READER[act]}: {_verdict(answer)}." for act, answer in found.items()]
    base = answers.inherited(model)
    if model.base and base:
        lines += ["", f"{_inheritance(model, base)} LICENSE and NOTICE in this repository must go with every copy."]
    return "\n".join(lines)


def shown(model: Manifest) -> list[str]:
    """Text that the licence requires to be shown, and the use policy that binds users of the model."""
    duties = {duty.kind: duty for answer in answers.check(model) for duty in answer.duties}
    lines = [duties["display"].text] if "display" in duties else []
    if "use-policy" in duties:
        lines.append("Use is bound by [the use policy](USE_POLICY.md).")
    return lines


def _verdict(answer: Answer) -> str:
    if answer.verdict == "refused":
        return f"no ({answer.clause})"
    takes: Sequence[str] = [duty.in_words() for duty in answer.duties]
    conditions = [f"only if {answer.only_if}"] if answer.only_if else []
    return "; ".join(["yes", *conditions, *takes]) + f" ({answer.clause})"


def _inheritance(model: Manifest, base: Terms) -> str:
    assert model.base
    return (
        f"It follows the licence of [{model.base.model}](https://huggingface.co/{model.base.model}), the "
        f"[{base.name}]({model.base.license.link or base.link})."
    )
