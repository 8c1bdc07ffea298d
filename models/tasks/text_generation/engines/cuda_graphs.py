"""CUDA graphs of the decoding steps. All are captured at setup, none while the server runs.

transformers captures a graph when it first meets a new pair of padded sizes, also for prefills, and that request waits
for it. Here a few sizes are captured in advance; a step of any other size runs without a graph.
https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import time
from typing import Any

_FIRST_KEYS = 1024
_GROWTH = 4


class DecodeGraphs:
    """Pads a step to the sizes of a captured graph, if one is large enough.

    The sizes of a step are the number of tokens that it computes and of keys that it reads. There are graphs for steps
    of up to `most_tokens` tokens: decoding, and prompts as short as that.
    """

    def __init__(self, processor: Any, most_tokens: int) -> None:
        self._runner, self._cache = processor.model_runner, processor.cache
        self._inputs = processor.inputs_and_outputs
        most_keys = self._cache.max_tokens_read
        self._tokens = _doubled(most_tokens)
        self._keys = _grown(most_keys)
        self._captured: set[tuple[int, int]] = set()
        self._is_capturing = False
        # In transformers' model_runner.py and input_outputs.py; docs/upgrading.md says what each of these replaces.
        self._runner.maybe_pad_inputs = self.padded
        self._runner._get_forward_fn = self._forward
        for inputs in self._pairs():
            inputs._get_graph_key = lambda inputs=inputs: (inputs.num_q_tokens, inputs.max_kv_read)

    def capture(self, model: Any) -> str:
        """Capture every size for each buffer of the async mode, the largest first, so that others reuse its memory."""
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
        """The sizes of the smallest captured graph that is large enough for a step, or the step's own sizes."""
        size = _next(self._tokens, num_q_tokens), _next(self._keys, max_kv_read)
        return size if self._is_capturing or size in self._captured else (num_q_tokens, max_kv_read)

    def _forward(self, use_block_table: bool) -> tuple[Any, bool]:
        """The function that computes a step, and whether to run it as a graph."""
        current = self._pairs()[getattr(self._inputs, "current_pair", 0)]
        size = current.num_q_tokens, current.max_kv_read
        return self._runner._forward_process_and_sample, self._is_capturing or size in self._captured

    def _least(self, keys: int) -> int:
        """The fewest keys that are padded to `keys`."""
        index = self._keys.index(keys)
        return self._keys[index - 1] + 1 if index else 1

    def _pairs(self) -> list[Any]:
        """The input buffers on the device: two in the async mode."""
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
    """The smallest of `sizes` that is at least `size`; `size` itself if there is none."""
    return next((one for one in sizes if one >= size), size)
