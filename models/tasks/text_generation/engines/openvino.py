"""OpenVINO GenAI's continuous batching, on the CPU.

https://openvinotoolkit.github.io/openvino.genai/ (ContinuousBatchingPipeline, GenerationConfig, SchedulerConfig)
"""

import contextlib
import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.runtimes.gguf import openvino_graph
from models.tasks.text_generation.engines import memory
from models.tasks.text_generation.engines.interface import Generation, Logits, Sampling, State
from models.tasks.text_generation.engines.openvino_prefixes import SharedPrefixes
from models.tasks.text_generation.manifest import EngineChoice, Manifest
from models.weights import openvino_format

_PAGE_TOKENS = 32
_MAX_SEQUENCES = 64
_DELIVERY_SECONDS = 0.06
_GATHER_SECONDS = 0.002
_ARRIVAL_SECONDS = 0.01  # from a prediction's announcement to its submission, tokenizing included
_CACHE_VALUE_BYTES = 2  # at most
_KEPT_KERNELS = 32  # compiled kernels; with the default, 5,000, a busy server grew by 150 MB in minutes


def start(manifest: Manifest, choice: EngineChoice, folder: Path) -> "OpenVino":
    """Load the files made by models/runtimes/openvino.py."""
    return OpenVino(manifest, choice, folder)


def logits(manifest: Manifest, choice: EngineChoice, folder: Path) -> Logits:
    """Computes with the same files and in the same formats, without batching."""
    return openvino_graph.computing(folder / openvino_format.MODEL, _properties())


class OpenVino:
    """One thread steps the pipeline while there are requests; each prediction reads its own generation."""

    def __init__(self, manifest: Manifest, choice: EngineChoice, folder: Path) -> None:
        import openvino_genai

        self.name, self.device, self.dtype = choice.engine, choice.device, choice.dtype
        self.attention = f"paged attention, computed in {_precision()} as this processor has it"
        free = memory.free_bytes("cpu") - (folder / "openvino_model.bin").stat().st_size  # the weights are loaded below
        self.cache_tokens = memory.cache_tokens(manifest, choice, free, _CACHE_VALUE_BYTES, _PAGE_TOKENS)
        self._genai, self.folder = openvino_genai, folder
        self._properties = _properties()
        self._pipeline = self._new_pipeline()
        self._submitted: queue.SimpleQueue[Generation | None] = queue.SimpleQueue()
        self._waiting: list[Generation] = []
        self._prefixes = SharedPrefixes(self.cache_tokens)
        self._running: list[_Running] = []
        self._count = 0
        self._delivered_at = 0.0
        self._healthy = True
        threading.Thread(target=self._run, name="openvino", daemon=True).start()

    def announce(self) -> None:
        self._submitted.put(None)

    def submit(self, generation: Generation) -> None:
        self._submitted.put(generation)

    def is_healthy(self) -> bool:
        return self._healthy

    def stop(self) -> None:
        """Does nothing: its thread does not keep the process alive."""

    def _new_pipeline(self) -> Any:
        scheduler = self._genai.SchedulerConfig()
        scheduler.num_kv_blocks = self.cache_tokens // _PAGE_TOKENS
        scheduler.max_num_seqs = _MAX_SEQUENCES
        scheduler.enable_prefix_caching = True  # openvino_prefixes.py and `_forward` work around its faults
        pipeline = self._genai.ContinuousBatchingPipeline(str(self.folder), scheduler, "CPU", self._properties)
        memory.release(self.folder)  # the plugin has packed the matrices for itself
        return pipeline

    def _run(self) -> None:
        while True:
            self._gather()
            if self._waiting:
                self._admit()
            if self._running:
                self._step()

    def _gather(self) -> None:
        """Take the submitted generations; wait for one if there is nothing else to do.

        A prediction needs the GIL several times before it is submitted, and a step holds the GIL. So announced
        predictions get a moment to arrive, and so do those that arrive at the same time: they share their first step.
        The count stays at 0 or above: a prediction announced in an earlier step must not shorten the wait for one that
        is announced now.
        """
        is_idle = not self._running and not self._waiting
        with contextlib.suppress(queue.Empty):
            announced = max(0, self._take(self._submitted.get(block=is_idle)))
            until = time.monotonic() + _ARRIVAL_SECONDS
            while (left := until - time.monotonic()) > 0:
                patience = left if announced else min(left, _GATHER_SECONDS)
                announced = max(0, announced + self._take(self._submitted.get(timeout=patience)))

    def _take(self, arrived: Generation | None) -> int:
        """Returns 1 for an announcement (None), and -1 for a generation, which now waits to be admitted."""
        if arrived is None:
            return 1
        self._waiting.append(arrived)
        return -1

    def _admit(self) -> None:
        """Add the generations that may be prefilled together with the running ones, in their order of arrival."""
        self._prefixes.keep([running.generation for running in self._running if not running.is_prefilled])
        arrived, self._waiting = self._waiting, []
        for generation in arrived:
            if generation.has_ended:
                continue
            if self._prefixes.may_prefill(generation):
                self._add(generation)
            else:
                self._waiting.append(generation)

    def _step(self) -> None:
        try:
            self._pipeline.step()
            self._deliver()
        except Exception as error:
            self._restart(error)

    def _restart(self, error: Exception) -> None:
        """After a failed step, end the running generations with the error, and continue with a new pipeline.

        If no pipeline can be made, every later generation fails, and the health check reports it.
        """
        print(f"openvino: a step failed, starting a new pipeline: {error}")
        for running in self._running:
            running.generation.fail(error)
        self._running = []
        self._pipeline = None
        try:
            self._pipeline = self._new_pipeline()
        except Exception as failure:
            self._healthy = False
            for generation in self._waiting:
                generation.fail(failure)
            while True:  # so that nobody waits forever
                if submitted := self._submitted.get():
                    submitted.fail(failure)

    def _add(self, generation: Generation) -> None:
        """Start a request. Its handle must be kept: the pipeline drops a request without one."""
        import numpy
        import openvino

        self._count += 1
        prompt = openvino.Tensor(numpy.array([generation.prompt_ids], dtype=numpy.int64))
        try:
            handle = self._pipeline.add_request(self._count, prompt, self._config(generation.sampling))
        except Exception as error:
            generation.fail(error)
        else:
            self._running.append(_Running(generation, handle))

    def _config(self, sampling: Sampling) -> Any:
        config = self._genai.GenerationConfig()
        config.max_new_tokens = sampling.max_tokens
        config.repetition_penalty = sampling.repetition_penalty
        config.stop_token_ids = sampling.end_ids or {0}  # the library needs one, even if it does not stop at it
        config.eos_token_id = min(config.stop_token_ids)
        config.ignore_eos = not sampling.end_ids
        if sampling.temperature > 0:
            config.do_sample = True
            config.temperature = sampling.temperature
            config.top_p = sampling.top_p
            config.rng_seed = sampling.seed
            if sampling.top_k:
                config.top_k = sampling.top_k
        return config

    def _deliver(self) -> None:
        """Deliver the new tokens: a generation's first token and its end at once, the others every 60 ms.

        Each delivery wakes a reader, which takes the GIL and a processor from the next step.
        """
        now = time.monotonic()
        if is_time := now - self._delivered_at >= _DELIVERY_SECONDS:
            self._delivered_at = now
        self._running = [
            running for running in self._running if (self._can_wait(running) and not is_time) or self._forward(running)
        ]

    def _can_wait(self, running: "_Running") -> bool:
        """Whether it continues, and its reader has its first token already."""
        is_running = running.handle.get_status() == self._genai.GenerationStatus.RUNNING
        return running.is_prefilled and is_running and not running.generation.has_ended

    def _forward(self, running: "_Running") -> bool:
        """Deliver the tokens of the last steps; returns whether there may be more.

        A prefill continues to its end even if it is cancelled: GenAI would keep a half computed block for
        later prompts. The reader does not wait for that.
        """
        generation, handle = running.generation, running.handle
        if generation.has_ended and running.is_prefilled:
            handle.cancel()
            return False
        reasons = self._genai.GenerationFinishReason
        token_ids, reason = [], reasons.NONE
        while handle.can_read():
            for output in handle.read().values():
                token_ids += output.generated_ids
                reason = output.finish_reason
        if reason == reasons.STOP:
            del token_ids[-1:]  # the end token
        if token_ids:
            running.is_prefilled = True
            generation.put(token_ids)
        if reason != reasons.NONE:
            generation.finish(State.STOPPED if reason == reasons.STOP else State.CUT)
        elif handle.get_status() == self._genai.GenerationStatus.IGNORED:
            generation.fail(RuntimeError(f"the key-value cache of {self.cache_tokens} tokens cannot hold it"))
        else:
            return True
        return False


@dataclass
class _Running:
    """A generation in the pipeline, its handle, and whether its complete prompt is in the key-value cache."""

    generation: Generation
    handle: Any
    is_prefilled: bool = False


def _properties() -> dict[str, Any]:
    """How the plugin runs the model: https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html

    The cache has the number format in which this processor computes, which is fastest; but with float32 the
    plugin takes only u8.
    """
    computes_in = _precision()
    return {
        "INFERENCE_PRECISION_HINT": computes_in,
        "KV_CACHE_PRECISION": "u8" if computes_in == "f32" else computes_in,
        "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_KERNELS,
    }


def _precision() -> str:
    """The number format in which the plugin computes on this processor: bf16, f16 or f32."""
    import openvino

    precision: str = openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
    return precision
