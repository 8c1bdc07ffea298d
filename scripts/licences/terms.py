"""What a licence allows and requires: from licences.yaml, or for the id `other` from a file beside the manifest."""

import functools
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from models import manifest, strict
from models.errors import TemplateError
from models.publication import License
from models.strict import Strict

Act = Literal["share", "gate", "serve", "sell", "change", "relicense"]
Kind = Literal[
    "license",
    "copyright",
    "attribution",
    "keep-notices",
    "link",
    "notice",
    "changes",
    "share-alike",
    "use-policy",
    "display",
    "name",
    "documentation",
    "no-training",
    "no-endorsement",
]
ACTS: dict[Act, str] = {
    "share": "a public copy of the weights",
    "gate": "terms of your own before a download",
    "serve": "an API",
    "sell": "a paid API",
    "change": "passing on changed weights",
    "relicense": "another licence",
}
_DATA = Path(__file__).with_name("licences.yaml")


class LicenceError(TemplateError):
    """A licence forbids the plan, or is unknown."""


class Right(Strict):
    """Whether an act is allowed (`changed`: only with changed weights), and the clause that says so.

    `to`: licences that changed weights may get although the act is not allowed in general. `only_if`: a condition on
    the people who do it.
    """

    allowed: bool | Literal["changed"]
    clause: str
    why: str = ""
    only_if: str = ""
    to: list[str] = []


class Duty(Strict):
    """A duty for `acts`; `changed`: only if the weights were changed; `text`: the text, link or name that it needs."""

    kind: Kind
    clause: str
    acts: list[Act] = Field(min_length=1)
    changed: bool = False
    text: str = ""

    def concerns(self, act: Act) -> bool:
        """Whether `act` has this duty."""
        return act in self.acts or (act == "sell" and "serve" in self.acts) or (act == "change" and self.changed)

    def in_words(self) -> str:
        """The duty in words, without a full stop."""
        return _DUTIES[self.kind].format(text=self.text)


class Terms(Strict):
    """A licence as this project describes it; only the text at `link` is binding."""

    name: str
    link: str
    rights: dict[Act, Right]
    duties: list[Duty] = []

    def duties_of(self, act: Act, changed: bool) -> list[Duty]:
        """The duties of `act`. A paid API has those of an API; changed weights also have those for changes."""
        return [duty for duty in self.duties if duty.concerns(act) and (changed or not duty.changed)]


@functools.cache
def known() -> dict[str, Terms]:
    """Every licence in licences.yaml, by its id on the Hub.

    Raises:
        LicenceError: the file is wrong; names the key.
    """
    try:
        return {name: Terms.model_validate(entry) for name, entry in yaml.safe_load(_DATA.read_text("utf-8")).items()}
    except ValidationError as error:
        raise LicenceError(f"{_DATA}: {error}") from error


def terms_of(license: License, slug: str) -> Terms:
    """The terms of a licence of the model `slug`.

    Raises:
        LicenceError: it is unknown; says how to describe it.
    """
    if license.id != "other":
        if license.id not in known():
            near = strict.suggestion(license.id, sorted(known()))
            raise LicenceError(f"no terms are known of the licence {license.id!r}{near}: set id: other and a name")
        return known()[license.id]
    path = manifest.CATALOG / slug / f"{license.name}.yaml"
    if not path.is_file():
        raise LicenceError(
            f"{path} is missing: read {license.link} and say there what it allows, as an entry of "
            f"scripts/licences/licences.yaml does: name, link, rights ({', '.join(ACTS)}), duties"
        )
    terms = strict.read(path, Terms, LicenceError)
    if missing := [act for act in ACTS if act not in terms.rights]:
        raise LicenceError(f"{path}: rights: answer {', '.join(missing)} too, each with allowed and clause")
    return terms


_DUTIES: dict[Kind, str] = {
    "license": "include the licence's text",
    "copyright": "keep the copyright notice",
    "attribution": "name the authors, with the copyright and warranty notices that came with it",
    "keep-notices": "keep the notices that came with it (copyright, attribution, NOTICE)",
    "link": "link to the licence",
    "notice": 'put into a NOTICE file: "{text}"',
    "changes": "say what was changed",
    "share-alike": "keep the same licence",
    "use-policy": "bind users to the use policy, and have them bind theirs: {text}",
    "display": 'show "{text}" where people see it',
    "name": 'begin the name of the model with "{text}"',
    "documentation": "include the documentation, as good or better",
    "no-training": "do not use it or its outputs to improve language models outside this family",
    "no-endorsement": "do not advertise with the authors' names",
}
