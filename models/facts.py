"""Facts read from the files of a model's weights. weights.lock keeps them for tools that run without the weights."""

from pydantic import BaseModel, ConfigDict


class AdapterFacts(BaseModel):
    """Facts from adapter_config.json, with peft's names; `base`: the model that the adapter was trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    peft_type: str | None = None
    task_type: str | None = None
    rank: int | None = None
    base: str | None = None


class Facts(BaseModel):
    """A fact is None where the files do not give it.

    `architecture`: model_type in config.json (for a multimodal model, that of its language model), or
    general.architecture in a GGUF; `parameters`: the number of values in all tensors; `embedding_parameters`: of these,
    the number in embeddings and output layers, which quantisation leaves as they are; `head_dim`: the number of values
    in the key of one head; `context_length` and `sliding_window`: in tokens; `quantization`: the method; `has_code`:
    whether config.json names code in the repository, which is never run; `adapter`: the adapter that is merged into the
    model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str | None = None
    parameters: int | None = None
    embedding_parameters: int | None = None
    layers: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    context_length: int | None = None
    sliding_window: int | None = None
    quantization: str | None = None
    is_encoder_decoder: bool = False
    has_code: bool = False
    adapter: AdapterFacts | None = None
