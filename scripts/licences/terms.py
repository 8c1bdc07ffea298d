"""What a licence allows and asks for: from licences.yaml, and for the id `other` from a file of the model's own."""

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
    """A licence that forbids what is planned, or that nothing is known about."""


class Right(Strict):
    """Whether an act is allowed (`changed`: of changed weights alone), and the clause that says so.

    `to`: the licences that changed weights may get although it is not allowed in general. `only_if`: what must be true
    of the people who do it.
    """

    allowed: bool | Literal["changed"]
    clause: str
    why: str = ""
    only_if: str = ""
    to: list[str] = []


class Duty(Strict):
    """What must be done for `acts`; `changed`: only where the weights were changed; `text`: the words, link or name."""

    kind: Kind
    clause: str
    acts: list[Act] = Field(min_length=1)
    changed: bool = False
    text: str = ""

    def concerns(self, act: Act) -> bool:
        """Whether it must be done for `act`."""
        return act in self.acts or (act == "sell" and "serve" in self.acts) or (act == "change" and self.changed)

    def in_words(self) -> str:
        """What is to be done, without a full stop."""
        return _DUTIES[self.kind].format(text=self.text)


class Terms(Strict):
    """A licence in this project's words; `link` has the text, which decides."""

    name: str
    link: str
    rights: dict[Act, Right]
    duties: list[Duty] = []

    def duties_of(self, act: Act, changed: bool) -> list[Duty]:
        """What `act` asks for: of a paid API what an API does, of changed weights what is asked for changes alone."""
        return [duty for duty in self.duties if duty.concerns(act) and (changed or not duty.changed)]


def known() -> dict[str, Terms]:
    """Every licence of licences.yaml by its id on the Hub."""
    return _read()


def terms_of(license: License, slug: str) -> Terms:
    """The terms of a licence of the model `slug`.

    Raises:
        LicenceError: nothing is known about it; says how to answer.
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


@functools.cache
def _read() -> dict[str, Terms]:
    try:
        return {name: Terms.model_validate(entry) for name, entry in yaml.safe_load(_DATA.read_text("utf-8")).items()}
    except ValidationError as error:
        raise LicenceError(f"{_DATA}: {error}") from error


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
    "no-training": "improve no language model outside this family with it or with what it writes",
    "no-endorsement": "do not advertise with the authors' names",
}
