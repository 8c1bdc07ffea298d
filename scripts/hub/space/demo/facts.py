"""The app's facts of a model: demo.json in the Space's folder, written from the manifest and the class's schema."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

Kind = Literal["string", "secret", "integer", "number", "boolean", "array", "object", "file", "any"]
Display = Literal["text", "labels", "table", "files", "json"]


class Field(BaseModel):
    """An input of the class. `items`: the kind of a list's items; `accept`: media types of a file, like image/*.

    `bounds`: the least and the greatest value, None for no bound.
    """

    name: str
    kind: Kind
    description: str = ""
    default: Any = None
    is_required: bool = False
    is_nullable: bool = False
    choices: list[Any] = []
    bounds: tuple[float | None, float | None] = (None, None)
    items: Kind = "any"
    accept: str = ""

    @property
    def title(self) -> str:
        """The name in words: max_tokens becomes "Max tokens"."""
        words = self.name.replace("_", " ")
        return words[:1].upper() + words[1:]


class Example(BaseModel):
    name: str
    input: dict[str, Any]


class Facts(BaseModel):
    """Everything about the model that the page shows and the app needs.

    `what`: where predictions run: `own` (a Cog server that the app starts itself, with the variables `server` in its
    environment), http://HOST:PORT (a Cog server), deployment:OWNER/NAME or OWNER/NAME:VERSION (on Replicate).
    `links`: address by name; `display`: how the output is shown; `streams`: whether it arrives in pieces, as
    server-sent events; `slots`: how many predictions run at once.
    """

    title: str
    summary: str
    links: dict[str, str]
    what: str
    server: dict[str, str] = {}
    slots: int
    fields: list[Field]
    display: Display
    streams: bool
    examples: list[Example]

    @property
    def has_chat(self) -> bool:
        """Whether the class takes a conversation and returns text."""
        return self.display == "text" and any(field.name == "messages" for field in self.fields)


def read(path: Path) -> Facts:
    return Facts.model_validate_json(path.read_text(encoding="utf-8"))
