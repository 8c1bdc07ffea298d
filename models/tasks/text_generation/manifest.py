"""The keys that only the manifest of a language model has."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from models import engine, manifest
from models.errors import ManifestError
from models.facts import Facts
from models.strict import Strict
from models.tasks.text_generation.environment import ENVIRONMENT

_QUANTISED_BYTES = {"int8": 1.0, "int4": 0.5 + 4 / 64}
"""The bytes of a parameter that transformers rounds. For int4 there is also a float32 scale for every 64 parameters."""
_FOUR_BITS_OF_OPENVINO = 0.5 + 4 / 32
"""The bytes of a parameter in int4, with a float16 scale and zero point for every 32 parameters.

From a GGUF; from safetensors it takes less, as the embeddings are in int8 too.
"""


class Architecture(Strict):
    """The numbers that the size of a decoder's key-value cache depends on; `head_dim`: values per head."""

    layers: int = Field(gt=0)
    kv_heads: int = Field(gt=0)
    head_dim: int = Field(gt=0)

    def cache_bytes_per_token(self, bytes_per_value: float) -> float:
        """A key and a value for each head of each layer."""
        return 2 * self.layers * self.kv_heads * self.head_dim * bytes_per_value


class EngineChoice(engine.EngineChoice):
    """`cache_gb`: the most memory for the key-value cache (GiB).

    `quantisation`: the format that matrices are rounded to while they are loaded; only for transformers, which still
    computes in `dtype`.
    """

    formats = engine.EngineChoice.formats | {"openvino": ("int8", "int4", "float16")}  # not float32

    cache_gb: float = Field(gt=0)
    quantisation: Literal["int8", "int4"] | None = None

    @property
    def gb_beside_weights(self) -> float:
        return self.cache_gb

    @property
    def described(self) -> str:
        return super().described + (f" with weights in {self.quantisation}" if self.quantisation else "")

    def weight_bytes(self, facts: Facts) -> float | None:
        if facts.parameters is None:
            return None
        if self.engine == "openvino" and self.dtype == "int4":
            plain_bytes, matrix_bytes = engine.BYTES["float16"], _FOUR_BITS_OF_OPENVINO
        elif self.quantisation:
            plain_bytes, matrix_bytes = engine.BYTES[self.dtype], _QUANTISED_BYTES[self.quantisation]
        else:
            return super().weight_bytes(facts)
        plain = facts.embedding_parameters or 0
        return plain * plain_bytes + (facts.parameters - plain) * matrix_bytes

    @model_validator(mode="after")
    def _can_quantise(self) -> "EngineChoice":
        if self.quantisation and self.engine != "transformers":
            raise ValueError(f"{self.engine} has no quantisation: leave it out, and set dtype: {self.quantisation}")
        return self


class SamplingChoice(Strict):
    """How tokens are chosen if a prediction does not say. Keys left out have the value of generation_config.json."""

    temperature: float | None = Field(default=None, ge=0, le=5)
    top_p: float | None = Field(default=None, ge=0.01, le=1)
    top_k: int | None = Field(default=None, ge=0, le=1000)
    repetition_penalty: float | None = Field(default=None, ge=0.1, le=10)


class Expectation(manifest.Expectation):
    """What must be true of the text and its metrics. `contains` and `excludes` ignore case."""

    contains: list[str] = []
    excludes: list[str] = []
    finish_reason: Literal["stop", "length"] | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)

    def failures(self, output: Any, metrics: dict[str, Any]) -> list[str]:
        """`output`: the text, or a list of its pieces."""
        text = ("".join(map(str, output)) if isinstance(output, list) else str(output)).casefold()
        broken = [f"does not contain {want!r}" for want in self.contains if want.casefold() not in text]
        broken += [f"contains {unwanted!r}" for unwanted in self.excludes if unwanted.casefold() in text]
        reason, tokens = metrics.get("finish_reason"), metrics.get("output_token_count", 0)
        if self.finish_reason and reason != self.finish_reason:
            broken.append(f"finished by {reason!r}, not {self.finish_reason!r}")
        if self.max_output_tokens and tokens > self.max_output_tokens:
            broken.append(f"has {tokens} tokens, more than {self.max_output_tokens}")
        return broken


class Example(manifest.Example):
    """An input of predict() and what must be true of its text."""

    expect: Expectation


class Manifest(manifest.Manifest):
    """A language model.

    `architecture` and `context_length` (tokens, prompt and output together) are left out if the files of the weights
    give them; `system_prompt`: the default, instead of that of its chat template; `template_variables`: values for the
    variables of its chat template, like enable_thinking; `sampling`: values instead of those in generation_config.json.
    """

    task: Literal["text-generation"]
    architecture: Architecture | None = None
    context_length: int | None = Field(default=None, gt=0)
    system_prompt: str | None = None
    template_variables: dict[str, Any] = {}
    sampling: SamplingChoice = SamplingChoice()
    engines: Sequence[EngineChoice] = Field(min_length=1)
    examples: Sequence[Example] = Field(min_length=3)

    @classmethod
    def keys_of(cls, facts: Facts) -> dict[str, Any]:
        sizes = facts.model_dump(include={*Architecture.model_fields})
        architecture = Architecture(**sizes) if None not in sizes.values() else None
        return super().keys_of(facts) | {"architecture": architecture, "context_length": facts.context_length}

    def cache_bytes_per_token(self, bytes_per_value: float) -> float:
        """The size of a token in the key-value cache.

        Raises:
            ManifestError: neither the manifest nor the files of the weights give the architecture.
        """
        if self.architecture is None:
            raise self._unknown("architecture: {layers: ..., kv_heads: ..., head_dim: ...}")
        return self.architecture.cache_bytes_per_token(bytes_per_value)

    def longest_context(self) -> int:
        """The most tokens of prompt and output together.

        Raises:
            ManifestError: neither the manifest nor the files of the weights give it.
        """
        if self.context_length is None:
            raise self._unknown("context_length")
        return self.context_length

    def _unknown(self, key: str) -> ManifestError:
        return ManifestError(
            f"{manifest.path_of(self.slug)} has no {key}, and neither has weights.lock: make weights-lock reads it "
            "from the files of the weights; if they do not give it, add the key"
        )

    @property
    def environment(self) -> dict[str, str]:
        return ENVIRONMENT
