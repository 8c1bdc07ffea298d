"""The files that licences require: LICENSE, NOTICE and USE_POLICY.md beside the manifest."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from models import manifest
from models.manifest import Manifest, path_of
from models.publication import License
from scripts.licences.answers import Answer, inherited, require
from scripts.licences.terms import Duty, LicenceError, Terms, terms_of

_TEXTS = Path(__file__).with_name("texts")


def files(model: Manifest) -> dict[str, str]:
    """The texts of the files that go with the weights, by name.

    Raises:
        LicenceError: the licence forbids the plan, or a text or a fact is missing; says which and where.
    """
    duties = _duties(require(model))
    written = {"LICENSE": _text(model, model.license, "LICENSE")}
    base = inherited(model)
    if not base or not model.base:
        return written
    if model.base.license.id != model.license.id and "license" in duties:
        name = f"LICENSE-{model.base.license.name or model.base.license.id}"
        written[name] = _text(model, model.base.license, name)
    written["NOTICE"] = _notice(model, base, duties)
    if "use-policy" in duties:
        written["USE_POLICY.md"] = _use_policy(model, base, duties["use-policy"])
    return written


def write(model: Manifest, texts: Mapping[str, str]) -> None:
    """Write files that are missing or differ, beside the manifest."""
    for name, text in texts.items():
        path = path_of(model.slug).with_name(name)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(manifest.PROJECT)}", file=sys.stderr)


def _duties(answers: Sequence[Answer]) -> dict[str, Duty]:
    """The duties of the planned acts, by kind."""
    return {duty.kind: duty for answer in answers for duty in answer.duties}


def _text(model: Manifest, license: License, name: str) -> str:
    """A licence's text: from this package with the copyright notice filled in, or from a file that the user saved."""
    terms = terms_of(license, model.slug)
    saved = path_of(model.slug).with_name(name)
    known = _TEXTS / f"{license.id}.txt"
    if known.is_file():
        text = known.read_text(encoding="utf-8")
        if "{copyright}" in text:
            text = text.replace("{copyright}", _copyright(model, license, terms))
        return text
    if "license" in {duty.kind for duty in terms.duties} or license.id == "other":
        if not saved.is_file():
            raise LicenceError(f"{saved} is missing: {terms.name} asks for its text: save it there, from {terms.link}")
        return saved.read_text(encoding="utf-8")
    return f"{terms.name}\n\nThe text of this licence: {terms.link}\n"


def _copyright(model: Manifest, license: License, terms: Terms) -> str:
    """The copyright notices under this licence: that of the base model, which must stay, and your own."""
    holders = {"base.license": model.base.license} if model.base else {}
    holders = {key: one for key, one in [*holders.items(), ("license", model.license)] if one.id == license.id}
    if notices := dict.fromkeys(one.copyright for one in holders.values() if one.copyright):
        return "\n".join(notices)
    what = f"set {next(iter(holders))}.copyright to the copyright notice of the weights"
    raise LicenceError(f"{path_of(model.slug)}: {what}: {terms.name} asks to keep it")


def _notice(model: Manifest, terms: Terms, duties: dict[str, Duty]) -> str:
    """The source of the weights, their licence, the changes, and the text that the licence requires."""
    base = model.base
    assert base
    lines = [
        model.title,
        "",
        f"The weights come from {base.model} (https://huggingface.co/{base.model}), which is under the {terms.name}",
        f"({terms.link}).",
    ]
    if base.license.copyright:
        lines += ["", base.license.copyright]
    if base.is_changed:
        if not base.changes and "changes" in duties:
            clause = f"{terms.name}, {duties['changes'].clause}"
            raise LicenceError(f"{path_of(model.slug)}: set base.changes to what was changed ({clause})")
        lines += ["", f"Changes: {base.changes}"] if base.changes else []
    if "notice" in duties:
        lines += ["", duties["notice"].text]
    return "\n".join(lines) + "\n"


def _use_policy(model: Manifest, terms: Terms, duty: Duty) -> str:
    what = f"the [use policy]({duty.text})" if duty.text.startswith("https://") else duty.text
    return f"""# Use policy

{model.title} is under the [{terms.name}]({terms.link}). It may not be used against {what} ({duty.clause}).

Whoever uses it, over an API too, agrees to this. Whoever passes it on, changed or not, puts the same restrictions as a
binding term into their own licence or terms of use, and tells those who receive it.
"""
