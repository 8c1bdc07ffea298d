"""The engines that a manifest can name, with a device and the number format of their weights."""

from typing import ClassVar, Literal

from pydantic import model_validator

from models.facts import Facts
from models.origin import Weights
from models.strict import Strict

EngineName = Literal["openvino", "transformers", "torch", "plain"]
Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "float16", "bfloat16", "int8", "int4"]
BYTES: dict[Dtype, float] = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "int4": 0.5}
"""The bytes of a parameter in each number format."""
_OF_GGUF: tuple[Dtype, ...] = ("float16", "int4")
"""The number formats of openvino's weights from a GGUF, the default first. int4 keeps what the GGUF has in 4 bits."""
_ON_CUDA: tuple[EngineName, ...] = ("transformers", "torch")


class EngineChoice(Strict):
    """An engine on a device, and the number format of its weights.

    `dtype`: by default the one that suits the engine and the weights: for openvino int8 from safetensors and float16
    from a GGUF, for transformers bfloat16, for torch float32. plain, the task's own code, has none.
    """

    formats: ClassVar[dict[EngineName, tuple[Dtype, ...]]] = {
        "openvino": ("int8", "int4", "float16", "float32"),
        "transformers": ("bfloat16", "float16", "float32"),
        "torch": ("float32", "bfloat16", "float16"),
        "plain": (),
    }
    """The number formats of each engine's weights, the default first. openvino computes in float32 if the weights are,
    otherwise in what the processor computes fastest."""

    engine: EngineName
    device: Device
    dtype: Dtype = "float16"

    @property
    def described(self) -> str:
        """The choice in words, like: openvino on cpu in int8."""
        return f"{self.engine} on {self.device}" + (f" in {self.dtype}" if self.formats[self.engine] else "")

    @property
    def gb_beside_weights(self) -> float:
        """The most memory that the engine needs in addition to the weights (GiB)."""
        return 0

    def weight_bytes(self, facts: Facts) -> float | None:
        """The bytes of memory that weights with these facts need; None if their parameters are not known."""
        return None if facts.parameters is None else facts.parameters * BYTES[self.dtype]

    @model_validator(mode="after")
    def _fits(self) -> "EngineChoice":
        formats = self.formats[self.engine]
        if "dtype" in self.model_fields_set and self.dtype not in formats:
            remedy = f"set dtype to one of {', '.join(formats)}" if formats else "leave out dtype"
            raise ValueError(f"{self.engine} has no weights in {self.dtype}: {remedy}")
        if self.device == "cuda" and self.engine not in _ON_CUDA:
            others = " or ".join(_ON_CUDA)
            raise ValueError(f"{self.engine} runs only on the device cpu: set device: cpu, or engine: {others}")
        return self


def with_dtype(choice: EngineChoice, weights: Weights) -> EngineChoice:
    """The engine with the number format of its weights filled in.

    Raises:
        ValueError: the engine has no such weights.
    """
    if choice.engine == "plain":
        return choice
    if not weights.source:
        raise ValueError(f"{choice.engine} needs weights: set weights.source")
    is_made_of_gguf = choice.engine == "openvino" and weights.names_gguf
    if "dtype" not in choice.model_fields_set:
        default = (_OF_GGUF if is_made_of_gguf else choice.formats[choice.engine])[0]
        return choice.model_copy(update={"dtype": default})
    if is_made_of_gguf and choice.dtype not in _OF_GGUF:
        raise ValueError(
            f"openvino converts a GGUF only to {' or '.join(_OF_GGUF)}, not to {choice.dtype}: set dtype to one of "
            "them, or take safetensors"
        )
    return choice
