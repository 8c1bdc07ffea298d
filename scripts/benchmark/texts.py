"""Texts for benchmarks and soak tests, from a book: benchmarks/alice.txt."""

import itertools
from collections.abc import Iterator

from models.weights import PROJECT


def of_length(words: int) -> Iterator[str]:
    """Endless texts with `words` words each."""
    book = (PROJECT / "benchmarks" / "alice.txt").read_text(encoding="utf-8").split()
    stream = itertools.cycle(book)
    while True:
        yield " ".join(itertools.islice(stream, words))
