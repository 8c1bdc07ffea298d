"""Vectors of texts: an encoder, its tokenizer and its pooling, behind one batcher that all predictions share."""

from collections.abc import Sequence
from typing import Any

from models.batching import Batcher
from models.encoders import Encoder, pooling
from models.encoders.tokens import Tokenizer, Tokens


class SentenceEncoder:
    """`width`: numbers of a vector; `limit`: the most tokens of a text that the model reads, None for all it can."""

    def __init__(self, encoder: Encoder, limit: int | None) -> None:
        self.encoder = encoder
        self.tokenizer = Tokenizer(encoder.folder, limit)
        self._pool = pooling.of(encoder.folder)
        self.width = int(self.run([Tokens([0], [0])]).shape[1])
        self.batcher = Batcher(
            self.run, lambda tokens: len(tokens.ids), encoder.budget, encoder.most_texts, encoder.workers
        )

    async def vectors(self, texts: Sequence[Tokens]) -> Any:
        """Of each text the vector that the model gives, not normalised: float32[texts, width].

        Raises:
            EngineError: the engine failed.
        """
        import numpy

        return numpy.stack(await self.batcher.submit(texts))

    def run(self, batch: Sequence[Tokens]) -> Any:
        """The vectors of one batch; the batcher's thread calls it."""
        return self._pool(self.encoder.run(batch), pooling.lengths(batch))


def normalized(vectors: Any) -> Any:
    """Each row divided by its length: float32[texts, width]."""
    import numpy

    return vectors / numpy.maximum(numpy.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
