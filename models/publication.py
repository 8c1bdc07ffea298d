"""The keys of a manifest that are for publication: licences, base model, release, quoted results.

A prediction needs none of them. A model card, a licence check or a release names each key that it needs and misses.
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.strict import Strict

Relation = Literal["copy", "finetune", "adapter", "merge", "quantized"]
Access = Literal["api-only", "gated", "open"]
RepositoryName = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]


class License(Strict):
    """The licence of weights.

    `id`: as in https://huggingface.co/docs/hub/repositories-licenses; `other` for a licence that is not listed there.
    Then `name` is its short name, and models/catalog/<slug>/<name>.yaml answers what scripts/licences/ cannot know.
    `copyright`: the notice that a copy must keep, like "Copyright (c) 2024 Acme".
    """

    id: str
    link: str
    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9.-]*$")
    copyright: str | None = None

    @model_validator(mode="after")
    def _has_a_name(self) -> "License":
        if self.id == "other" and not self.name:
            raise ValueError("a licence with the id other needs a name: set name, like acme-research-1.0")
        return self


class Base(Strict):
    """The model that the weights were made from.

    `model`: OWNER/NAME on the Hub; `relation`: how the weights were made from it, `copy` if nothing changed;
    `changes`: a sentence that says what changed; `license`: the licence of the base model, which the weights inherit.
    """

    model: RepositoryName
    relation: Relation
    license: License
    changes: str | None = None

    @property
    def is_changed(self) -> bool:
        """Whether the weights differ from those of the base model."""
        return self.relation != "copy"


class Gate(Strict):
    """The terms that a person accepts before a download: https://huggingface.co/docs/hub/models-gated.

    `approval`: `auto` gives access at once, `manual` when the owner approves. `questions`: the fields of the form, each
    with its type, like text or checkbox.
    """

    terms: str
    approval: Literal["auto", "manual"] = "auto"
    questions: dict[str, Literal["text", "checkbox", "date_picker", "country", "ip_location"]] = {}


class Stage(Strict):
    """The access that begins on a day (UTC)."""

    day: date
    opens: Access


class Release(Strict):
    """Who gets access to the model; a single word stands for `{tier: WORD}`.

    `tier` says who may download the weights: `open`, everyone; `gated`, people who accept `gate`; `api-only`, nobody,
    and publishing the weights is refused; `staged`, as `stages` say, and nobody before the first stage.
    `paid_api`: callers of the API pay. `hub` and `replicate`: OWNER/NAME of the published model there.
    """

    tier: Literal["open", "gated", "api-only", "staged"]
    gate: Gate | None = None
    stages: list[Stage] = []
    paid_api: bool = False
    hub: RepositoryName | None = None
    replicate: RepositoryName | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_a_word(cls, value: Any) -> Any:
        return {"tier": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _is_consistent(self) -> "Release":
        if (self.tier == "staged") != bool(self.stages):
            raise ValueError(
                "tier: staged and stages go together: give both, like stages: [{day: 2027-03-01, opens: open}]"
            )
        days = [stage.day for stage in self.stages]
        if days != sorted(set(days)):
            raise ValueError("stages must be in the order of their days, one per day")
        if "gated" in self.accesses and not self.gate:
            raise ValueError("gated weights need terms: set gate: {terms: what a person accepts}")
        return self

    @property
    def accesses(self) -> list[Access]:
        """Every kind of access to the weights that this release gives, now or later."""
        return [stage.opens for stage in self.stages] if self.tier == "staged" else [self.tier]

    def access_on(self, day: date) -> Access:
        """Who may download the weights on `day`."""
        if self.tier != "staged":
            return self.tier
        begun = [stage.opens for stage in self.stages if stage.day <= day]
        return begun[-1] if begun else "api-only"


class QuotedResult(Strict):
    """A value that somebody else measured; `settings`: how, like "5-shot"."""

    dataset: str
    metric: str
    value: float
    settings: str | None = None


class Quote(Strict):
    """Results and the page that they are from.

    `of`: the model that was measured, if it is not this one, for example the base model.
    """

    source: str = Field(pattern=r"^https://")
    of: str | None = None
    results: list[QuotedResult] = Field(min_length=1)
