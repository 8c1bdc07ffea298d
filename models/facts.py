"""What the files of a model's weights say of it; weights.lock keeps it, for tools that run without the weights."""

from pydantic import BaseModel, ConfigDict


class Facts(BaseModel):
    """None: its files do not say.

    `architecture`: config.json's model_type (of a multimodal model that of its language model), or
    general.architecture of a GGUF; `parameters`: values of all tensors; `head_dim`: values of a key of one head;
    `context_length` and `sliding_window`: tokens; `quantization`: the method; `has_code`: whether config.json names
    code of the repository, which is never run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str | None = None
    parameters: int | None = None
    layers: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    context_length: int | None = None
    sliding_window: int | None = None
    quantization: str | None = None
    is_encoder_decoder: bool = False
    has_code: bool = False
