"""Decides which prompts may be prefilled at the same time while OpenVINO GenAI's prefix caching is on.

GenAI 2026.4 shares the cache blocks of a prompt's beginning with every prompt that begins in the same way. It also
shares the last block, which may be partly filled, and lets each prompt continue to write in it. If two prompts do so at
once and continue differently, they get wrong tokens. A partly filled block ends where an earlier prompt, or its output,
ended. So among the prompts that begin with the same earlier prompt, only equal ones are prefilled at once.
"""

from collections.abc import Collection, Sequence
from itertools import accumulate

from models.tasks.text_generation.engines.interface import Generation


class SharedPrefixes:
    """Remembers the last prompts, as many as the cache has tokens: blocks of older prompts are overwritten by then."""

    def __init__(self, cache_tokens: int) -> None:
        self._remembered = cache_tokens
        self._prompts: dict[int, None] = {}  # the keys of the prompts, the oldest first
        self._prefilling: dict[Generation, frozenset[int]] = {}

    def keep(self, prefilling: Collection[Generation]) -> None:
        """Forget all generations but these, which are still being prefilled."""
        self._prefilling = {generation: self._prefilling[generation] for generation in prefilling}

    def may_prefill(self, generation: Generation) -> bool:
        """Whether `generation` may be prefilled now, with the others. If so, it counts as one of them from now on."""
        begins_with = self._known_beginnings(generation.prompt_ids)
        for other, its_beginnings in self._prefilling.items():
            if begins_with & its_beginnings and generation.prompt_ids != other.prompt_ids:
                return False
        self._prefilling[generation] = begins_with
        return True

    def _known_beginnings(self, prompt_ids: Sequence[int]) -> frozenset[int]:
        """The keys of the remembered prompts that this one begins with, and its own. All of them become the newest."""
        keys = list(accumulate(prompt_ids, lambda key, token_id: hash((key, token_id)), initial=0))
        known = frozenset(key for key in keys[1:-1] if key in self._prompts) | {keys[-1]}
        for key in known:
            self._prompts.pop(key, None)
            self._prompts[key] = None
        while len(self._prompts) > self._remembered:
            del self._prompts[next(iter(self._prompts))]
        return known
