"""Which prompts may be prefilled side by side while OpenVINO GenAI keeps the cache's blocks for those that come later.

GenAI 2026.4 shares the blocks of a prompt's beginning with every prompt that begins so, the last and partly filled one
too, and lets each of them write on in it: two that do so at once and go on differently get wrong tokens. A partly
filled block ends where an earlier prompt, or what followed it, ended. So of the prompts that begin with one and the
same earlier prompt, only equal ones are prefilled at once.
"""

from collections.abc import Collection, Sequence
from itertools import accumulate

from models.tasks.text_generation.engines.interface import Generation


class SharedPrefixes:
    """Remembers the last prompts, as many as the cache has tokens: blocks of older ones have been overwritten."""

    def __init__(self, cache_tokens: int) -> None:
        self._remembered = cache_tokens
        self._prompts: dict[int, None] = {}  # their keys, the oldest first
        self._prefilling: dict[Generation, frozenset[int]] = {}

    def keep(self, prefilling: Collection[Generation]) -> None:
        """Only these are still being prefilled."""
        self._prefilling = {generation: self._prefilling[generation] for generation in prefilling}

    def may_prefill(self, generation: Generation) -> bool:
        """Whether `generation` may be prefilled now, beside those that are; if so, it is one of them from now on."""
        begins_with = self._known_beginnings(generation.prompt_ids)
        for other, its_beginnings in self._prefilling.items():
            if begins_with & its_beginnings and generation.prompt_ids != other.prompt_ids:
                return False
        self._prefilling[generation] = begins_with
        return True

    def _known_beginnings(self, prompt_ids: Sequence[int]) -> frozenset[int]:
        """The keys of the remembered prompts that this one begins with, and its own; all are the newest now."""
        keys = list(accumulate(prompt_ids, lambda key, token_id: hash((key, token_id)), initial=0))
        known = frozenset(key for key in keys[1:-1] if key in self._prompts) | {keys[-1]}
        for key in known:
            self._prompts.pop(key, None)
            self._prompts[key] = None
        while len(self._prompts) > self._remembered:
            del self._prompts[next(iter(self._prompts))]
        return known
