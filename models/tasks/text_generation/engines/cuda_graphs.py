"""CUDA graphs of the steps. All are captured at setup, none while the server runs.

transformers captures a graph when it first meets a new pair of padded sizes, and the request waits for it. Here a few
sizes are captured in advance; a step that fits none of them runs without a graph. Prompts have graphs as well as
decoding: the CPU takes 25 to 50 ms to start the kernels of a step one by one, and the GPU less for a short prompt.
https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import time
from typing import Any

_PROMPTS = (64, 128, 256, 512, 1024, 2048)
_KEYS = (4096,)
_DECODING_KEYS = (1024, 4096, 16_384, 65_536)


class StepGraphs:
    """Pads a step to the sizes of a captured graph, if one is large enough.

    The sizes of a step are the number of tokens that it computes, and of keys that it reads from the cache. With block
    tables a step that only decodes reads none by itself.
    """

    def __init__(self, processor: Any, most_requests: int, most_prompt: int) -> None:
        self._runner, self._cache = processor.model_runner, processor.cache
        self._inputs = processor.inputs_and_outputs
        most_keys, most_tokens = self._cache.max_tokens_read, min(most_prompt, self._cache.max_batch_tokens)
        decoding_keys = [0] if self._cache.max_blocks_per_request else _up_to(_DECODING_KEYS, most_keys)
        sizes = [(tokens, keys) for tokens in _doubled(most_requests) for keys in decoding_keys]
        prompts = [tokens for tokens in _PROMPTS if tokens <= most_tokens]
        self._sizes = sorted({*sizes, *((tokens, keys) for tokens in prompts for keys in _up_to(_KEYS, most_keys))})
        self._captured: list[tuple[int, int]] = []
        # In transformers' model_runner.py and input_outputs.py; docs/upgrading.md says what each of these replaces.
        self._runner.maybe_pad_inputs = self.padded
        self._runner._get_forward_fn = self._forward
        for inputs in self._pairs():
            inputs._get_graph_key = lambda inputs=inputs: (inputs.num_q_tokens, inputs.max_kv_read)

    def capture(self, model: Any) -> str:
        """Capture every size for each buffer of the async mode, the largest first, so that others reuse its memory."""
        import torch

        begun = time.monotonic()
        self._captured = self._sizes
        with torch.no_grad():
            for _ in self._pairs():
                for tokens, keys in reversed(self._sizes):
                    self._runner.run_one_warmup(model, tokens, self._fewest(keys) if keys else None)
                if hasattr(self._inputs, "swap_io_pairs"):
                    self._inputs.swap_io_pairs()
        self._cache.reset()
        graphs = [pair.graphs for pair in self._pairs()]
        self._captured = [size for size in self._sizes if all(one.get_graph(size) is not None for one in graphs)]
        seconds = time.monotonic() - begun
        return f"{len(self._captured)} of {len(self._sizes)} CUDA graphs captured in {seconds:.1f} s"

    def padded(self, num_q_tokens: int, max_kv_read: int, use_decode_fast_path: bool) -> tuple[int, int]:
        """The sizes of the smallest captured graph that is large enough for a step, or the step's own sizes."""
        for tokens, keys in self._captured:
            if tokens >= num_q_tokens and (keys == 0 if use_decode_fast_path else keys >= max(1, max_kv_read)):
                return tokens, keys
        return num_q_tokens, max_kv_read

    def _forward(self, use_block_table: bool) -> tuple[Any, bool]:
        """The function that computes a step, and whether to run it as a graph."""
        current = self._pairs()[getattr(self._inputs, "current_pair", 0)]
        is_captured = (current.num_q_tokens, current.max_kv_read) in self._captured
        return self._runner._forward_process_and_sample, is_captured

    def _fewest(self, keys: int) -> int:
        """The fewest keys that are padded to `keys`."""
        return max((size[1] for size in self._sizes if size[1] < keys), default=0) + 1

    def _pairs(self) -> list[Any]:
        """The input buffers on the device: two in the async mode."""
        pairs = getattr(self._inputs, "io_pairs", None)
        return [pair.device_io for pair in pairs] if pairs else [self._inputs]


def _doubled(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [*(1 << power for power in range(most.bit_length()) if 1 << power < most), most]


def _up_to(sizes: tuple[int, ...], most: int) -> list[int]:
    """Those of `sizes` that are smaller than `most`, and `most`."""
    return [*(size for size in sizes if size < most), most]
