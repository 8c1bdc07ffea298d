"""transformers' continuous batching: paged attention on CUDA, with CUDA graphs and its async mode, or on the CPU.

https://huggingface.co/docs/transformers/continuous_batching
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import EngineError
from models.runtimes import checkpoint
from models.tasks.text_generation.engines import memory
from models.tasks.text_generation.engines.cuda_graphs import DecodeGraphs
from models.tasks.text_generation.engines.interface import Generation, Logits, State
from models.tasks.text_generation.manifest import EngineChoice, Manifest

_MAX_REQUESTS = 64
_PAGE_TOKENS = 256
_STEP_TOKENS = 2048
_FAILURES_TO_GIVE_UP = 2


def start(manifest: Manifest, choice: EngineChoice, folder: Path) -> "Transformers":
    """Load the folder of safetensors onto the chosen device."""
    return Transformers(manifest, choice, folder)


def logits(manifest: Manifest, choice: EngineChoice, folder: Path) -> Logits:
    """The same files in the same number format, without the batching."""
    import torch

    model = checkpoint.load(folder, dtype=_supported(torch, choice), device_map=choice.device)

    def compute(token_ids: list[int]) -> Any:
        with torch.inference_mode():
            return model(torch.tensor([token_ids], device=choice.device)).logits[0].float().cpu().numpy()

    return compute


class Transformers:
    """The library's own thread steps while there are requests; each prediction reads its own generation."""

    def __init__(self, manifest: Manifest, choice: EngineChoice, folder: Path) -> None:
        import torch
        import transformers

        self.name, self.device = choice.engine, choice.device
        dtype = _supported(torch, choice)
        self.dtype = str(dtype).removeprefix("torch.")
        self.folder = folder
        self._model = checkpoint.load(folder, dtype=dtype, device_map=choice.device)
        free = torch.cuda.mem_get_info()[0] if choice.device == "cuda" else memory.free_bytes()
        self.cache_tokens = memory.cache_tokens(manifest, choice, free, dtype.itemsize, _PAGE_TOKENS)
        self._vocabulary: int = self._model.config.vocab_size
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._count = 0
        self._failures = 0
        self._failed_thread: threading.Thread | None = None
        self.attention = self._choose_attention()
        self._manager = self._batching(transformers)
        self._manager.warmup()  # allocates the cache
        if self._has_graphs:
            print(f"transformers: {DecodeGraphs(self._manager.batch_processor, _MAX_REQUESTS).capture(self._model)}")

    def announce(self) -> None:
        """Nothing to prepare: PyTorch releases the GIL while it computes."""

    def submit(self, generation: Generation) -> None:
        from models.tasks.text_generation.engines import request_sampling

        if generation.has_ended:  # cancelled already: its reader knows
            return
        with self._lock:
            self._count += 1
            request_id = str(self._count)
            self._running[request_id] = _Running(generation)
            if not self._manager.is_running():
                self._manager.start()
        accepted = self._manager.add_request(
            generation.prompt_ids,
            request_id,
            max_new_tokens=generation.sampling.max_tokens,
            eos_token_id=list(generation.sampling.end_ids),
            streaming=True,
            **request_sampling.arguments(generation.sampling, self._vocabulary),
        )
        # Asked again, as the batch may have failed since, and its thread have looked into the queue for the last time.
        if accepted is None or self._manager.background_thread_status.can_accept_new_requests() is not None:
            self._running.pop(request_id, None)
            generation.fail(RuntimeError("a failed batch is still being cleared away: try again"))

    def stop(self) -> None:
        self._manager.stop(block=True, hard_stop=True)

    def is_healthy(self) -> bool:
        return self._failures < _FAILURES_TO_GIVE_UP

    def _choose_attention(self) -> str:
        """Set the fastest attention for the model on its device, and fuse its norms; returns the name and why."""
        from models.tasks.text_generation.engines import fused_norms, packed_attention

        choice = packed_attention.chosen(self._model)
        if self.device == "cuda":
            print(f"transformers: {fused_norms.install(self._model)} norms run as one kernel each")
        # set_attn_implementation would look for a package behind any name with "flash" in it
        self._model.config._attn_implementation = choice.name
        self._has_graphs = self.device == "cuda" and choice.name.startswith("flash")
        return f"{choice.name} ({choice.why})"

    def _batching(self, transformers: Any) -> Any:
        """A manager whose requests each sample by themselves, and whose outputs go straight to their generations."""
        from models.tasks.text_generation.engines import request_sampling

        config = transformers.ContinuousBatchingConfig(
            page_size=_PAGE_TOKENS,
            num_blocks=self.cache_tokens // _PAGE_TOKENS,
            max_batch_tokens=_STEP_TOKENS,
            max_requests_per_batch=_MAX_REQUESTS,
            auto_switch_to_flash=False,
            use_cuda_graph=self._has_graphs,
            use_async_batching=self._has_graphs,
        )
        defaults = transformers.GenerationConfig(do_sample=False, eos_token_id=-1)  # each request brings its own
        manager = self._model.init_continuous_batching(defaults, config)
        manager.logit_processor = request_sampling.processors(_MAX_REQUESTS, self._vocabulary, self._model.device)
        self._penalty = manager.logit_processor.logits_processor[0]
        manager.output_router.deliver = self._deliver
        manager.output_router.deliver_batch = self._deliver_batch
        return manager

    def _deliver_batch(self, outputs: list[Any]) -> None:
        """Hand over what a step made, and cancel what has ended for its reader, also where it waits or is prefilled."""
        for output in outputs:
            self._deliver(output)
        for request_id, running in self._running.copy().items():
            if running.generation.has_ended:
                self._cancel(request_id)

    def _deliver(self, output: Any) -> None:
        """Hand what is new in a request's output to its generation; called by the batching thread.

        A request that `submit` gave up may still have been in the queue: it is cancelled.
        """
        running = self._running.get(output.request_id)
        if running is None:
            self._cancel(output.request_id)
            return
        generation = running.generation
        token_ids = output.generated_tokens[running.sent :]
        running.sent += len(token_ids)
        self._failures = 0 if token_ids else self._failures
        ended = not generation.sampling.end_ids.isdisjoint(token_ids[-1:])
        if output.error is not None:
            self._count_failure()
            generation.fail(RuntimeError(output.error))
        elif token_ids[: -1 if ended else None]:
            generation.put(token_ids[: -1 if ended else None])
        if output.is_finished():
            generation.finish(State.STOPPED if ended else State.CUT)
            self._forget(output.request_id)

    def _cancel(self, request_id: str) -> None:
        self._manager.cancel_request(request_id)
        # After a full cache the library starts nothing until a request has ended, for which it takes no cancelled one.
        self._manager.batch_processor.scheduler.block_new_requests = False
        self._forget(request_id)

    def _forget(self, request_id: str) -> None:
        self._running.pop(request_id, None)
        self._penalty.release(request_id)

    def _count_failure(self) -> None:
        """Once a batch, however many requests it had: a batch that fails ends its thread."""
        if self._failed_thread is not threading.current_thread():
            self._failed_thread = threading.current_thread()
            self._failures += 1


@dataclass
class _Running:
    """A generation and how many of its tokens were handed over."""

    generation: Generation
    sent: int = 0


def _supported(torch: Any, choice: EngineChoice) -> Any:
    """The manifest's dtype; where the device computes no bfloat16, float16 on a GPU and float32 on a CPU.

    Raises:
        EngineError: torch cannot use the GPU.
    """
    if choice.device == "cuda":
        if not torch.cuda.is_available():
            raise EngineError("torch cannot use this machine's GPU: check that nvidia-smi works and fits torch")
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bfloat16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if choice.dtype == "bfloat16" and not has_bfloat16:
        return torch.float16 if choice.device == "cuda" else torch.float32
    return getattr(torch, choice.dtype)
