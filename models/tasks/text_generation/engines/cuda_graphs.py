"""CUDA graphs of the steps that only decode, all captured at setup: nothing is captured while it serves.

transformers captures a graph for each new pair of padded sizes when it first meets it, prefills among them, and that
request waits for it. Here few sizes are captured beforehand; a step of any other size runs without a graph.
https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import time
from typing import Any

_FIRST_KEYS = 1024
_GROWTH = 4


class DecodeGraphs:
    """Pads a step to the sizes of a captured graph, where there is one that holds it.

    A step of up to `most_tokens` tokens is one of decoding, or of a prompt as short; its sizes are the tokens that it
    computes and the keys that it reads.
    """

    def __init__(self, processor: Any, most_tokens: int) -> None:
        self._runner, self._cache = processor.model_runner, processor.cache
        self._inputs = processor.inputs_and_outputs
        most_keys = self._cache.max_tokens_read
        self._tokens = _doubled(most_tokens)
        self._keys = _grown(most_keys)
        self._captured: set[tuple[int, int]] = set()
        self._is_capturing = False
        # transformers' model_runner.py and input_outputs.py: docs/upgrading.md says what each of these replaces.
        self._runner.maybe_pad_inputs = self.padded
        self._runner._get_forward_fn = self._forward
        for inputs in self._pairs():
            inputs._get_graph_key = lambda inputs=inputs: (inputs.num_q_tokens, inputs.max_kv_read)

    def capture(self, model: Any) -> str:
        """Capture every size for each buffer of the async mode, the largest first, which the others' memory fits in."""
        import torch

        begun = time.monotonic()
        sizes = [(tokens, keys) for tokens in reversed(self._tokens) for keys in reversed(self._keys)]
        self._is_capturing = True
        with torch.no_grad():
            for _ in self._pairs():
                for tokens, keys in sizes:
                    self._runner.run_one_warmup(model, tokens, self._least(keys))
                if hasattr(self._inputs, "swap_io_pairs"):
                    self._inputs.swap_io_pairs()
        self._is_capturing = False
        self._cache.reset()
        have = [{size for size in sizes if pair.graphs.get_graph(size) is not None} for pair in self._pairs()]
        self._captured = set.intersection(*have)
        return f"{len(self._captured)} of {len(sizes)} CUDA graphs captured in {time.monotonic() - begun:.1f} s"

    def padded(self, num_q_tokens: int, max_kv_read: int, use_decode_fast_path: bool) -> tuple[int, int]:
        """The sizes of the smallest graph that holds a step, or its own where none does."""
        size = _next(self._tokens, num_q_tokens), _next(self._keys, max_kv_read)
        return size if self._is_capturing or size in self._captured else (num_q_tokens, max_kv_read)

    def _forward(self, use_block_table: bool) -> tuple[Any, bool]:
        """What computes a step, and whether a graph does."""
        current = self._pairs()[getattr(self._inputs, "current_pair", 0)]
        size = current.num_q_tokens, current.max_kv_read
        return self._runner._forward_process_and_sample, self._is_capturing or size in self._captured

    def _least(self, keys: int) -> int:
        """The fewest keys that are padded to `keys`."""
        index = self._keys.index(keys)
        return self._keys[index - 1] + 1 if index else 1

    def _pairs(self) -> list[Any]:
        """The inputs on the device: two in the async mode."""
        pairs = getattr(self._inputs, "io_pairs", None)
        return [pair.device_io for pair in pairs] if pairs else [self._inputs]


def _doubled(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [*(1 << power for power in range(most.bit_length()) if 1 << power < most), most]


def _grown(most: int) -> list[int]:
    """1,024, 4,096, ... up to `most`."""
    sizes = []
    size = _FIRST_KEYS
    while size < most:
        sizes.append(size)
        size *= _GROWTH
    return [*sizes, most]


def _next(sizes: list[int], size: int) -> int:
    """The smallest of `sizes` that is at least `size`; `size` itself where none is."""
    return next((one for one in sizes if one >= size), size)
