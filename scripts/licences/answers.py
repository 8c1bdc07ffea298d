"""Checks whether the base model's licence allows what a manifest plans."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.manifest import Manifest, path_of
from scripts.licences.terms import ACTS, Act, Duty, LicenceError, Right, Terms, terms_of

Verdict = Literal["allowed", "allowed with", "refused"]


@dataclass(frozen=True)
class Answer:
    """Whether `act` is allowed, by which clause, and with which duties."""

    act: Act
    verdict: Verdict
    clause: str
    why: str = ""
    only_if: str = ""
    duties: Sequence[Duty] = ()

    def in_words(self) -> str:
        reason = f": {self.why}" if self.why else ""
        return f"{ACTS[self.act]}: {self.verdict} ({self.clause}){reason}"


def answer(terms: Terms, act: Act, *, changed: bool = False, becomes: str = "", names: Sequence[str] = ()) -> Answer:
    """Whether someone who has weights under `terms` may do `act`.

    `changed`: whether they are fine-tuned, quantised or merged; `becomes`: the id of the new licence, for the act
    relicense; `names`: the model's names, for which some licences have a rule.
    """
    right = terms.rights[act]
    if not _permits(right, changed, becomes):
        return Answer(act, "refused", right.clause, right.why)
    duties = terms.duties_of(act, changed)
    for duty in duties:
        wrong = [name for name in names if not _plain(name).startswith(_plain(duty.text))]
        if duty.kind == "name" and wrong:
            return Answer(act, "refused", duty.clause, f"{duty.in_words()}, not {wrong[0]!r}")
    return Answer(act, "allowed with" if duties else "allowed", right.clause, right.why, right.only_if, duties)


def _plain(name: str) -> str:
    """A name as repositories can have it: Llama 3 and llama-3 count as the same."""
    return name.casefold().replace("-", " ")


def _permits(right: Right, changed: bool, becomes: str) -> bool:
    return right.allowed is True or (changed and (right.allowed == "changed" or becomes in right.to))


def inherited(model: Manifest) -> Terms | None:
    """The terms that bind the publisher of the model: those of its base; None if the weights are the publisher's own.

    Raises:
        LicenceError: the manifest does not say whose the weights are, or the licence is unknown.
    """
    if model.base:
        return terms_of(model.base.license, model.slug)
    if not model.license.copyright:
        raise LicenceError(
            f"{path_of(model.slug)} does not say whose the weights are: set base (the model they were made from), "
            "or for your own license.copyright, like Copyright (c) 2026 Acme"
        )
    return None


def planned(model: Manifest) -> list[Act]:
    """The acts that the manifest plans with the weights.

    Raises:
        LicenceError: it does not say how the model is released.
    """
    release = model.release
    if not release:
        raise LicenceError(f"{path_of(model.slug)}: set release to open, gated, api-only or staged")
    acts: list[Act] = ["serve"]
    if set(release.accesses) & {"open", "gated"}:
        acts.append("share")
        acts += ["change"] if model.base and model.base.is_changed else []
    acts += ["gate"] if "gated" in release.accesses else []
    acts += ["sell"] if release.paid_api else []
    acts += ["relicense"] if model.base and _names(model) else []
    return acts


def _names(model: Manifest) -> bool:
    """Whether the model has another licence than its base."""
    assert model.base
    own, base = model.license, model.base.license
    return (own.id, own.name) != (base.id, base.name)


def check(model: Manifest) -> list[Answer]:
    """The answer for each planned act; everything is allowed with your own weights."""
    terms = inherited(model)
    if not terms:
        terms_of(model.license, model.slug)
        return [Answer(act, "allowed", "the weights are your own") for act in planned(model)]
    changed = bool(model.base and model.base.is_changed)
    hub = model.release.hub if model.release else None
    names = [model.title, *([hub.partition("/")[2]] if hub else [])]
    return [answer(terms, act, changed=changed, becomes=model.license.id, names=names) for act in planned(model)]


def require(model: Manifest) -> list[Answer]:
    """The answers, if all acts are allowed.

    Raises:
        LicenceError: one is refused; names the clause.
    """
    answers = check(model)
    if refused := [answer.in_words() for answer in answers if answer.verdict == "refused"]:
        terms = inherited(model)
        assert terms
        raise LicenceError(f"{terms.name} ({terms.link}) forbids {'; '.join(refused)}")
    return answers
