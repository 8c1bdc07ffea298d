"""Computes vectors of texts: an encoder with its tokenizer and pooling, and one batcher that all predictions share."""

from collections.abc import Sequence
from typing import Any

from models.encoders import Encoder, batcher, pooling
from models.encoders.tokens import Tokenizer, Tokens


class SentenceEncoder:
    """`width`: the length of a vector; `limit`: the most tokens of a text to read, None for the model's own limit."""

    def __init__(self, encoder: Encoder, limit: int | None) -> None:
        self.encoder = encoder
        self.tokenizer = Tokenizer(encoder.folder, limit)
        self._pool = pooling.of(encoder.folder)
        self.width = int(self.run([Tokens([0], [0])]).shape[1])
        self.batcher = batcher(encoder, self.run)

    async def vectors(self, texts: Sequence[Tokens]) -> Any:
        """The model's vector for each text, not normalised: float32[texts, width].

        Raises:
            EngineError: the engine failed.
        """
        import numpy

        return numpy.stack(await self.batcher.submit(texts))

    def run(self, batch: Sequence[Tokens]) -> Any:
        """The vectors of one batch; called in a thread of the batcher."""
        return self._pool(self.encoder.run(batch), pooling.lengths(batch))


def normalized(vectors: Any) -> Any:
    """Each row divided by its length: float32[texts, width]."""
    import numpy

    return vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
