"""transformers' continuous batching: paged attention on CUDA, with CUDA graphs and its async mode, or on the CPU.

https://huggingface.co/docs/transformers/continuous_batching
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from models.errors import EngineError
from models.runtimes import checkpoint, quantisation
from models.tasks.text_generation.engines import memory
from models.tasks.text_generation.engines.cuda_graphs import StepGraphs
from models.tasks.text_generation.engines.interface import Generation, Logits, State
from models.tasks.text_generation.manifest import EngineChoice, Manifest

_MAX_REQUESTS = 64
_PAGE_TOKENS = 256
_STEP_TOKENS = 2048
_LARGE = 1_000_000_000
"""Parameters from which on a GPU needs longer to compute a long prompt than the CPU to start its kernels."""
_SHORT_PROMPT = 1024
_FAILURES_TO_GIVE_UP = 2


def start(manifest: Manifest, choice: EngineChoice, folder: Path) -> "Transformers":
    """Load the folder of safetensors onto the chosen device."""
    return Transformers(manifest, choice, folder)


def logits(manifest: Manifest, choice: EngineChoice, folder: Path) -> Logits:
    """Computes with the same files and in the same number format, without batching."""
    import torch

    model = _load(choice, folder, _supported(torch, choice))

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
        stages = _Stages()
        with memory.enough_for_weights(choice.model_copy(update={"dtype": self.dtype}), folder) as expected_bytes:
            self._model = _load(choice, folder, dtype)
        if choice.quantisation:
            quantisation.check(self._model, expected_bytes)
        stages.end("weights loaded")
        free = memory.free_bytes(choice.device)
        self.cache_tokens = memory.cache_tokens(manifest, choice, free, dtype.itemsize, _PAGE_TOKENS)
        self._vocabulary: int = self._model.config.vocab_size
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._count = 0
        self._failures = 0
        self._failed_thread: threading.Thread | None = None
        self._shortage: _Shortage | None = None
        self.attention = self._choose_attention()
        stages.end("kernels compiled and compared")
        with memory.enough_for_cache(choice, self.cache_tokens * manifest.cache_bytes_per_token(dtype.itemsize)):
            self._manager = self._batching(transformers)
            self._manager.batch_processor = self._manager._create_batch_processor()  # allocates the cache
            if self._has_graphs:
                from models.tasks.text_generation.engines import fast_preparation

                fast_preparation.install(self._manager.batch_processor)
                graphs = StepGraphs(self._manager.batch_processor, _MAX_REQUESTS, self._most_prompt())
                print(f"transformers: {graphs.capture(self._model)}")
        stages.end("cache allocated, and CUDA graphs captured" if self._has_graphs else "cache allocated")
        print(f"transformers: {stages.described}")

    def announce(self) -> None:
        """Does nothing: PyTorch releases the GIL while it computes."""

    def submit(self, generation: Generation) -> None:
        self._begin(_Running(generation))

    def _begin(self, running: "_Running") -> None:
        """Start a generation, or continue one after the tokens that it already has."""
        from models.tasks.text_generation.engines import request_sampling

        generation = running.generation
        if generation.has_ended:  # cancelled already, which its reader knows
            return
        with self._lock:
            self._count += 1
            request_id = str(self._count)
            self._running[request_id] = running
            if not self._manager.is_running():
                self._manager.start()
        accepted = self._manager.add_request(
            generation.prompt_ids + running.earlier,
            request_id,
            max_new_tokens=generation.sampling.max_tokens - len(running.earlier),
            eos_token_id=list(generation.sampling.end_ids),
            streaming=True,
            **request_sampling.arguments(generation.sampling, self._vocabulary),
        )
        # Check again: the batch may have failed meanwhile, and its thread may have read the queue for the last time.
        if accepted is None or self._manager.background_thread_status.can_accept_new_requests() is not None:
            self._running.pop(request_id, None)
            generation.fail(RuntimeError("a failed batch is still being cleared away: try again"))

    def stop(self) -> None:
        self._manager.stop(block=True, hard_stop=True)

    def is_healthy(self) -> bool:
        return self._failures < _FAILURES_TO_GIVE_UP

    def _choose_attention(self) -> str:
        """Set the fastest attention for the model on its device, and fuse its layers; returns the name and why."""
        from models.tasks.text_generation.engines import fused_layers, packed_attention

        choice = packed_attention.chosen(self._model)
        if self.device == "cuda":
            print(f"transformers: {fused_layers.install(self._model)}")
        # set_attn_implementation would look for a package for any name with "flash" in it
        self._model.config._attn_implementation = choice.name
        self._has_graphs = self.device == "cuda" and choice.name.startswith("flash")
        self._has_block_tables = choice.has_block_tables
        return f"{choice.name} ({choice.why})"

    def _most_prompt(self) -> int:
        """The most tokens of a step with prompts for which a CUDA graph is faster, though it computes its padding."""
        return _SHORT_PROMPT if self._model.num_parameters() >= _LARGE else _STEP_TOKENS

    def _batching(self, transformers: Any) -> Any:
        """A manager whose requests have their own sampling, and whose outputs go directly to their generations."""
        from models.tasks.text_generation.engines import request_sampling

        pages = self.cache_tokens // _PAGE_TOKENS
        config = transformers.ContinuousBatchingConfig(
            page_size=_PAGE_TOKENS,
            num_blocks=pages,
            max_batch_tokens=_STEP_TOKENS,
            max_requests_per_batch=_MAX_REQUESTS,
            auto_switch_to_flash=False,
            use_cuda_graph=self._has_graphs,
            use_async_batching=self._has_graphs,
        )
        defaults = transformers.GenerationConfig(do_sample=False, eos_token_id=-1)  # each request brings its own
        manager = self._model.init_continuous_batching(defaults, config)
        if self._has_block_tables:  # the library knows block tables only of the package flash-attn
            manager.continuous_batching_config.max_blocks_per_request = pages
        manager.logit_processor = request_sampling.processors(_MAX_REQUESTS, self._vocabulary, self._model.device)
        if self._has_graphs:
            print(f"transformers: {manager.logit_processor.fuse(self._vocabulary, self._model.device)}")
        self._penalty = manager.logit_processor.logits_processor[0]
        manager.output_router.deliver = self._deliver
        manager.output_router.deliver_batch = self._deliver_batch
        manager._generation_step = partial(self._step, manager._generation_step)
        return manager

    def _deliver_batch(self, outputs: list[Any]) -> None:
        """Deliver the outputs of a step, and cancel requests that have no reader any more, even waiting ones."""
        for output in outputs:
            self._deliver(output)
        for request_id, running in self._running.copy().items():
            if running.generation.has_ended:
                self._cancel(request_id)

    def _deliver(self, output: Any) -> None:
        """Pass the new tokens of a request to its generation; called by the batching thread.

        A request that `submit` has given up may still be in the queue: it is cancelled.
        """
        running = self._running.get(output.request_id)
        if running is None:
            self._cancel(output.request_id)
            return
        generation = running.generation
        token_ids = output.generated_tokens[running.sent :] if output.error is None else []
        running.sent += len(token_ids)
        self._failures = 0 if token_ids else self._failures
        ended = not generation.sampling.end_ids.isdisjoint(token_ids[-1:])
        if token_ids[: -1 if ended else None]:
            generation.put(token_ids[: -1 if ended else None])
        if output.error is not None:
            self._fail(output, running)
        elif output.is_finished():
            generation.finish(State.STOPPED if ended else State.CUT)
            self._forget(output.request_id)

    def _fail(self, output: Any, running: "_Running") -> None:
        """Fail a request; if another request caused an out-of-memory error, keep it to be started again instead.

        The library ends all requests when a step fails.
        """
        self._forget(output.request_id)
        shortage = self._shortage
        if shortage is None or shortage.thread is not threading.current_thread():
            self._count_failure()
            running.generation.fail(RuntimeError(output.error))
        elif output.request_id in shortage.concerned:
            running.generation.fail(RuntimeError(output.error))
        else:
            made = output.generated_tokens[: running.sent]
            shortage.spared.append(_Running(running.generation, running.earlier + made))

    def _step(self, compute: Callable[[], None]) -> None:
        """Compute one step. If memory runs out, the requests in prefill fail; without any, all requests of the step."""
        import torch

        try:
            compute()
        except torch.OutOfMemoryError as error:
            requests = _requests(self._manager.batch_processor.inputs_and_outputs)
            prompts = [request for request in requests if request.query_length > 1]
            concerned = {request.state.request_id for request in prompts or requests}
            self._shortage = _Shortage(threading.current_thread(), concerned)
            threading.Thread(target=self._restart_spared, args=(self._shortage,), daemon=True).start()
            tokens = sum(request.query_length for request in requests)
            raise RuntimeError(memory.shortage_in_step(tokens, memory.free_bytes(self.device), self.device)) from error

    def _restart_spared(self, shortage: "_Shortage") -> None:
        """Start the spared requests again, once the thread of the failed step has ended."""
        shortage.thread.join()
        for running in shortage.spared:
            self._begin(running)

    def _cancel(self, request_id: str) -> None:
        self._manager.cancel_request(request_id)
        # After a full cache the library starts no request until one has ended, and cancelled ones do not count.
        self._manager.batch_processor.scheduler.block_new_requests = False
        self._forget(request_id)

    def _forget(self, request_id: str) -> None:
        self._running.pop(request_id, None)
        self._penalty.release(request_id)

    def _count_failure(self) -> None:
        """Count a failed batch once, for any number of requests: a batch that fails ends its thread."""
        if self._failed_thread is not threading.current_thread():
            self._failed_thread = threading.current_thread()
            self._failures += 1


class _Stages:
    """Measures how long the stages of the start take, for the log."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self.described = ""

    def end(self, stage: str) -> None:
        now = time.monotonic()
        self.described += f"{', ' if self.described else ''}{stage} in {now - self._begun:.1f} s"
        self._begun = now


@dataclass
class _Running:
    """A request. `earlier`: the tokens that an earlier request made for its generation; `sent`: how many it sent."""

    generation: Generation
    earlier: list[int] = field(default_factory=list)
    sent: int = 0


@dataclass
class _Shortage:
    """A step that ran out of memory: the thread that ends with it, the requests that fail, and those to start again."""

    thread: threading.Thread
    concerned: set[str]
    spared: list[_Running] = field(default_factory=list)


def _load(choice: EngineChoice, folder: Path, dtype: Any) -> Any:
    """The model on its device, in 8 or 4 bits if the manifest says so."""
    return checkpoint.load(folder, device_map=choice.device, **quantisation.options(choice.quantisation, dtype))


def _requests(inputs: Any) -> list[Any]:
    """The requests of the step that is being computed. In the async mode the inputs of two steps exist at once."""
    pairs = getattr(inputs, "io_pairs", None)
    found: list[Any] = (pairs[inputs.current_pair].host_io if pairs else inputs).requests_in_batch
    return found


def _supported(torch: Any, choice: EngineChoice) -> Any:
    """The manifest's dtype. If the device does not support bfloat16: float16 on a GPU, and float32 on a CPU.

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
