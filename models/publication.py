"""What a manifest says for publication: licences, what the weights were made from, how they come out, quoted results.

A prediction needs none of it; a model card, a licence check or a release asks for what is missing, by its key.
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.strict import Strict

Relation = Literal["copy", "finetune", "adapter", "merge", "quantized"]
Access = Literal["api-only", "gated", "open"]
RepositoryName = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]


class License(Strict):
    """A licence of weights.

    `id`: as in https://huggingface.co/docs/hub/repositories-licenses, `other` for one that is not there; then `name`
    is the licence's short name, and models/catalog/<slug>/<name>.yaml answers what scripts/licences/ cannot know.
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

    `model`: OWNER/NAME on the Hub; `relation`: how they came from it, `copy` when nothing changed; `changes`: what was
    changed, in a sentence; `license`: of that model, which what was made from it inherits.
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
    """What a person agrees to before a download: https://huggingface.co/docs/hub/models-gated.

    `approval`: `auto` at once, `manual` by the owner's hand. `questions`: a form's fields, each with its type, such as
    text, country, checkbox, date_picker.
    """

    terms: str
    approval: Literal["auto", "manual"] = "auto"
    questions: dict[str, Literal["text", "checkbox", "date_picker", "country", "ip_location"]] = {}


class Stage(Strict):
    """What opens on a day (UTC)."""

    day: date
    opens: Access


class Release(Strict):
    """How the model comes to other people; a bare word stands for `{tier: WORD}`.

    `tier`: `open`, everyone may download the weights; `gated`, who accepts `gate`; `api-only`, nobody, and a publish of
    the weights is refused; `staged`, as `stages` say, and nobody before the first. `paid_api`: callers of the API pay.
    `hub` and `replicate`: OWNER/NAME of the published model there.
    """

    tier: Literal["open", "gated", "api-only", "staged"]
    gate: Gate | None = None
    stages: list[Stage] = []
    paid_api: bool = False
    hub: RepositoryName | None = None
    replicate: RepositoryName | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_a_word(cls, said: Any) -> Any:
        return {"tier": said} if isinstance(said, str) else said

    @model_validator(mode="after")
    def _is_whole(self) -> "Release":
        if (self.tier == "staged") != bool(self.stages):
            raise ValueError(
                "tier: staged and stages go together: give both, like stages: [{day: 2027-03-01, opens: open}]"
            )
        days = [stage.day for stage in self.stages]
        if days != sorted(set(days)):
            raise ValueError("stages must be in the order of their days, one a day")
        if "gated" in self.accesses and not self.gate:
            raise ValueError("gated weights need terms: set gate: {terms: what a person agrees to}")
        return self

    @property
    def accesses(self) -> list[Access]:
        """Every access to the weights that this release has, now or later."""
        return [stage.opens for stage in self.stages] if self.tier == "staged" else [self.tier]

    def access_on(self, day: date) -> Access:
        """Who may download the weights on `day`."""
        if self.tier != "staged":
            return self.tier
        begun = [stage.opens for stage in self.stages if stage.day <= day]
        return begun[-1] if begun else "api-only"


class QuotedResult(Strict):
    """A value that somebody else measured; `settings` like "5-shot"."""

    dataset: str
    metric: str
    value: float
    settings: str | None = None


class Quote(Strict):
    """Results and where they can be read.

    `of`: the model that was measured, where that is not this one but, for instance, the one it was made from.
    """

    source: str = Field(pattern=r"^https://")
    of: str | None = None
    results: list[QuotedResult] = Field(min_length=1)
