"""A reference decoder of the Llama family: checks that it supports a GGUF, and computes its logits in float32.

OpenVINO's files are compared with it. Names and meanings are those of llama.cpp:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, https://arxiv.org/abs/2302.13971, https://arxiv.org/abs/2505.09388
"""

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

from models.errors import EngineError
from models.weights.gguf_format import Gguf

ARCHITECTURES = ("llama", "qwen2", "qwen3")
_KEYS = {
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "vocab_size",
    "attention.causal",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "attention.sliding_window",
    "rope.freq_base",
    "rope.dimension_count",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
}
_NEEDED_KEYS = (
    "block_count",
    "context_length",
    "embedding_length",
    "attention.head_count",
    "attention.layer_norm_rms_epsilon",
)
_PROJECTIONS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_HEAD_NORMS = {"attn_q_norm.weight", "attn_k_norm.weight"}
_NEEDED = {f"{name}.weight" for name in ("attn_norm", "ffn_norm", *_PROJECTIONS)}
_KNOWN = _NEEDED | {f"{name}.bias" for name in _PROJECTIONS}
_ROWS_AT_ONCE = 16_384
_LEAST_LOGARITHM = -1e9


def unread(gguf: Gguf) -> str:
    """The first thing in a file that changes a result and that `Decoder` does not support; empty if there is none."""
    architecture = gguf.architecture
    if architecture not in ARCHITECTURES:
        return f"the architecture {architecture}"
    if gguf.get("general.type", "model") != "model":
        return f"general.type {gguf.get('general.type')}"
    if unknown := unknown_key(gguf, _KEYS):
        return f"the key {unknown}"
    if missing := next((key for key in _NEEDED_KEYS if gguf.own(key) is None), None):
        return f"no key {architecture}.{missing}"
    return _unread_value(gguf) or _unread_tensor(gguf)


def unknown_key(gguf: Gguf, known: Collection[str]) -> str:
    """The first key of the file's architecture that is not in `known`; empty if there is none.

    Keys without effect are ignored: those whose value is zero or empty (`expert_count` 0), and `tensor_data_layout`.
    """
    prefix = f"{gguf.architecture}."
    ours = {*known, "tensor_data_layout"}
    keys = (key for key, value in gguf.values.items() if key.startswith(prefix) and value.content not in (0, "", []))
    return next((key for key in keys if key.removeprefix(prefix) not in ours), "")


def _unread_value(gguf: Gguf) -> str:
    """The first known key with a value that `Decoder` does not support; empty if there is none."""
    size = gguf.own("attention.key_length", 0) or gguf.own("embedding_length", 0) // gguf.own("attention.head_count", 1)
    longest = gguf.own("context_length", 0)
    wrong = {
        "attention.causal": not gguf.own("attention.causal", True),
        "attention.value_length": gguf.own("attention.value_length", size) != size,
        "rope.dimension_count": gguf.own("rope.dimension_count", size) != size,
        "rope.scaling.type": gguf.own("rope.scaling.type", "linear") not in ("none", "linear"),
        "attention.sliding_window": 0 < (gguf.own("attention.sliding_window") or 0) < longest,
        "attention.head_count_kv": isinstance(gguf.own("attention.head_count_kv"), list),
        "feed_forward_length": isinstance(gguf.own("feed_forward_length"), list),
    }
    key = next((key for key, is_wrong in wrong.items() if is_wrong), None)
    return f"{gguf.architecture}.{key} {gguf.own(key)}" if key else ""


def _unread_tensor(gguf: Gguf) -> str:
    """The first tensor that is missing or unknown; empty if there is none."""
    known = {"token_embd.weight", "output_norm.weight", "output.weight", "rope_freqs.weight"}
    of_a_layer = _KNOWN | (_HEAD_NORMS if gguf.architecture == "qwen3" else set())
    needed = {"token_embd.weight", "output_norm.weight"}
    for layer in range(gguf.own("block_count", 0)):
        known |= {f"blk.{layer}.{name}" for name in of_a_layer}
        needed |= {f"blk.{layer}.{name}" for name in _NEEDED | (of_a_layer & _HEAD_NORMS)}
    if missing := sorted(needed - gguf.tensors.keys()):
        return f"no tensor {missing[0]}"
    return next((f"the tensor {name}" for name in gguf.tensors if name not in known), "")


class Decoder:
    """The model of a GGUF in which `unread` finds nothing."""

    def __init__(self, gguf: Gguf) -> None:
        self.gguf = gguf
        self.layers: int = gguf.own("block_count")
        self.heads: int = gguf.own("attention.head_count")
        self.kv_heads: int = gguf.own("attention.head_count_kv", self.heads)
        self.width: int = gguf.own("embedding_length")
        self.head_size: int = gguf.own("attention.key_length", self.width // self.heads)
        self.epsilon: float = gguf.own("attention.layer_norm_rms_epsilon")
        self.is_interleaved = gguf.architecture == "llama"
        """Whether the rotary pairs of a head are adjacent values; otherwise its first half pairs with its second."""

    @property
    def vocabulary(self) -> int:
        """The number of tokens in the embedding."""
        return self.gguf.tensors["token_embd.weight"].shape[0]

    @property
    def first_token(self) -> int:
        """The token that a text begins with: the file's begin token, otherwise its end token, otherwise any."""
        begin, end = (self.gguf.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos"))
        return next((token for token in (begin, end) if token is not None and token < self.vocabulary), 0)

    @cached_property
    def plain_frequencies(self) -> Any:
        """The rotary angle per position of each pair, before any scaling: float64[head_size / 2]."""
        import numpy

        base = float(self.gguf.own("rope.freq_base", 10_000.0))
        return base ** -(numpy.arange(0, self.head_size, 2) / self.head_size)

    @cached_property
    def frequencies(self) -> Any:
        """The same with the file's linear scaling and the factors of Llama 3.1 and later: float32[head_size / 2]."""
        scaled = self.plain_frequencies
        if self.gguf.own("rope.scaling.type", "linear") == "linear":  # llama.cpp's default for a factor without a type
            scaled = scaled / float(self.gguf.own("rope.scaling.factor", 1.0) or 1.0)
        if "rope_freqs.weight" in self.gguf.tensors:
            factors = self.gguf.tensors["rope_freqs.weight"].values()
            if factors.shape != scaled.shape:
                raise EngineError(f"rope_freqs.weight has {factors.size} factors, and a head has {scaled.size} pairs")
            scaled = scaled / factors
        return scaled.astype("float32")

    def logits(self, token_ids: Sequence[int]) -> Any:
        """The logits after each token of a prompt: float32[tokens, vocabulary]. One tensor at a time is in memory."""
        import numpy

        hidden = self.gguf.tensors["token_embd.weight"].values(list(token_ids))
        angles = numpy.arange(len(token_ids), dtype=numpy.float32)[:, None] * self.frequencies
        turn = numpy.cos(angles)[:, None], numpy.sin(angles)[:, None]
        for layer in range(self.layers):
            hidden = hidden + self._attention(self._norm(hidden, f"blk.{layer}.attn_norm"), f"blk.{layer}", turn)
            hidden = hidden + self._feed_forward(self._norm(hidden, f"blk.{layer}.ffn_norm"), f"blk.{layer}")
        hidden = self._norm(hidden, "output_norm")
        output = self.gguf.tensors.get("output.weight", self.gguf.tensors["token_embd.weight"])
        blocks = [
            range(at, min(at + _ROWS_AT_ONCE, output.shape[0])) for at in range(0, output.shape[0], _ROWS_AT_ONCE)
        ]
        return numpy.concatenate([hidden @ output.values(list(rows)).T for rows in blocks], axis=1)

    def _attention(self, hidden: Any, layer: str, turn: tuple[Any, Any]) -> Any:
        """Attention of one layer: float32[tokens, width] in and out."""
        import numpy

        count = len(hidden)
        query = self._product(hidden, f"{layer}.attn_q").reshape(count, self.heads, self.head_size)
        key = self._product(hidden, f"{layer}.attn_k").reshape(count, self.kv_heads, self.head_size)
        value = self._product(hidden, f"{layer}.attn_v").reshape(count, self.kv_heads, self.head_size)
        if f"{layer}.attn_q_norm.weight" in self.gguf.tensors:
            query, key = self._norm(query, f"{layer}.attn_q_norm"), self._norm(key, f"{layer}.attn_k_norm")
        query, key = self._turned(query, *turn), self._turned(key, *turn)
        future = numpy.triu(numpy.full((count, count), _LEAST_LOGARITHM, dtype=numpy.float32), 1)
        heads = []
        for head in range(self.heads):
            shared = head * self.kv_heads // self.heads
            scores = query[:, head] @ key[:, shared].T / numpy.float32(self.head_size**0.5) + future
            shares = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
            heads.append(shares / shares.sum(axis=-1, keepdims=True) @ value[:, shared])
        return self._product(numpy.concatenate(heads, axis=1), f"{layer}.attn_output")

    def _turned(self, values: Any, cosine: Any, sine: Any) -> Any:
        """Rotate each head's pairs by their positions: https://arxiv.org/abs/2104.09864."""
        import numpy

        half = self.head_size // 2
        first, second = (
            (values[..., 0::2], values[..., 1::2]) if self.is_interleaved else (values[..., :half], values[..., half:])
        )
        # Queries and keys have the same layout, so the order of the values in the result does not matter.
        return numpy.concatenate([first * cosine - second * sine, first * sine + second * cosine], axis=-1)

    def _feed_forward(self, hidden: Any, layer: str) -> Any:
        import numpy

        gate = self._product(hidden, f"{layer}.ffn_gate")
        gated = gate / (1 + numpy.exp(-numpy.clip(gate, -80, None)))
        return self._product(gated * self._product(hidden, f"{layer}.ffn_up"), f"{layer}.ffn_down")

    def _norm(self, hidden: Any, name: str) -> Any:
        import numpy

        mean = numpy.square(hidden).mean(axis=-1, keepdims=True)
        return hidden / numpy.sqrt(mean + numpy.float32(self.epsilon)) * self.gguf.tensors[f"{name}.weight"].values()

    def _product(self, hidden: Any, name: str) -> Any:
        product = hidden @ self.gguf.tensors[f"{name}.weight"].values().T
        bias = self.gguf.tensors.get(f"{name}.bias")
        return product if bias is None else product + bias.values()
