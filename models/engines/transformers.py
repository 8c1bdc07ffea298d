"""transformers' generate, on CUDA or the CPU, one generation at a time.

https://huggingface.co/docs/transformers/main_classes/text_generation
"""

import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.engines.interface import Generation, Message, Sampling
from models.errors import EngineError
from models.manifest import EngineChoice

PACKAGES = ("torch", "transformers", "accelerate", "safetensors")
CONVERTER = ("transformers", "safetensors", "gguf")


def convert(source: Path, folder: Path, dtype: str) -> None:
    """Make safetensors, configuration and tokenizer from a GGUF, once.

    transformers cannot save a model that it read from a GGUF, so the weights move into a clean one.
    """
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    tokenizer.model_max_length = model.config.max_position_embeddings
    del model.config.quantization_config
    clean = transformers.AutoModelForCausalLM.from_config(model.config, dtype=getattr(torch, dtype))
    clean.load_state_dict(model.state_dict())
    clean.generation_config = model.generation_config
    clean.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def start(folder: Path, choice: EngineChoice, context_length: int) -> "Transformers":
    """Load the files that `convert` made onto the chosen device."""
    return Transformers(folder, choice)


class Transformers:
    """One thread generates what was submitted, in order; each prediction reads its own generation."""

    def __init__(self, folder: Path, choice: EngineChoice) -> None:
        import torch
        import transformers

        self.name, self.device = choice.engine, choice.device
        self._torch, self._transformers = torch, transformers
        dtype = _supported(torch, choice)
        self.dtype = str(dtype).removeprefix("torch.")
        started = time.monotonic()
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map=choice.device)
        print(f"transformers: read onto {choice.device} in {self.dtype} in {time.monotonic() - started:.1f} s")
        self._submitted: queue.SimpleQueue[Generation] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="transformers", daemon=True).start()

    def encode(self, text: str) -> list[int]:
        token_ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return token_ids

    def decode(self, token_ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def chat_text(self, messages: Sequence[Message]) -> str:
        text: str = self._tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        return text

    def submit(self, generation: Generation) -> None:
        self._submitted.put(generation)

    def _run(self) -> None:
        while True:
            generation = self._submitted.get()
            if not generation.wanted:
                continue
            try:
                self._generate(generation)
            except Exception as error:
                generation.fail(error)

    def _generate(self, generation: Generation) -> None:
        sampling, end = generation.sampling, self._tokenizer.eos_token_id
        prompt = self._torch.tensor([generation.prompt_ids], device=self._model.device)
        self._transformers.set_seed(sampling.seed)
        output = self._model.generate(
            prompt,
            attention_mask=self._torch.ones_like(prompt),
            generation_config=self._config(sampling),
            streamer=_Forwarder(generation, end),
            stopping_criteria=[_unwanted(generation, self._torch)],
        )
        generation.finish("stop" if output[0, -1].item() == end else "length")

    def _config(self, sampling: Sampling) -> Any:
        greedy = sampling.temperature == 0
        return self._transformers.GenerationConfig(
            max_new_tokens=sampling.max_tokens,
            do_sample=not greedy,
            temperature=None if greedy else sampling.temperature,
            top_p=None if greedy else sampling.top_p,
            top_k=None if greedy else sampling.top_k,
            repetition_penalty=sampling.repetition_penalty,
            eos_token_id=self._tokenizer.eos_token_id,
            pad_token_id=self._tokenizer.eos_token_id,
        )


class _Forwarder:
    """What generate calls a streamer: the prompt first, then each new token."""

    def __init__(self, generation: Generation, end_of_text: int) -> None:
        self._generation, self._end_of_text, self._is_prompt = generation, end_of_text, True

    def put(self, token_ids: Any) -> None:
        if self._is_prompt:
            self._is_prompt = False
            return
        wanted = [token_id for token_id in token_ids.flatten().tolist() if token_id != self._end_of_text]
        if wanted:
            self._generation.put(wanted)

    def end(self) -> None:
        pass


def _unwanted(generation: Generation, torch: Any) -> Any:
    """A stopping criterion that ends a cancelled generation at the next token."""

    def criterion(token_ids: Any, scores: Any, **_: Any) -> Any:
        return torch.full((token_ids.shape[0],), not generation.wanted, device=token_ids.device)

    return criterion


def _supported(torch: Any, choice: EngineChoice) -> Any:
    """The manifest's dtype, or float32 where the device computes no bfloat16.

    Raises:
        EngineError: torch cannot use the GPU.
    """
    if choice.device == "cuda":
        if not torch.cuda.is_available():
            raise EngineError(
                "torch cannot use this machine's GPU: check that nvidia-smi works and the driver fits torch"
            )
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has_bfloat16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if choice.dtype == "bfloat16" and not has_bfloat16:
        return torch.float32
    return getattr(torch, choice.dtype)
