"""The baseline of `make bench`, a Cog project of its own: what Cog's streaming example does, on the same weights.

transformers' generate in bf16 with a text streamer, one prediction at a time.
"""

import os
from threading import Thread

import torch
from cog import BasePredictor, ConcatenateIterator, current_scope, streaming
from transformers import AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer

WEIGHTS = os.environ["BASELINE_WEIGHTS"]


class Baseline(BasePredictor):
    """Serves the same weights on the same machine."""

    def setup(self) -> None:
        """Load the weights, onto CUDA where there is a GPU."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
        self.model = AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=torch.bfloat16, device_map=device)

    @streaming
    def predict(self, prompt: str, max_tokens: int, temperature: float, raw: bool) -> ConcatenateIterator[str]:
        """Continue the prompt, greedily."""
        inputs = self.tokenizer(prompt, return_tensors="pt").to(self.model.device)
        streamer = TextIteratorStreamer(self.tokenizer, skip_prompt=True, skip_special_tokens=True)
        length = {"max_new_tokens": max_tokens, "min_new_tokens": max_tokens}
        Thread(
            target=self.model.generate, kwargs={**inputs, **length, "streamer": streamer, "do_sample": False}
        ).start()
        yield from streamer
        current_scope().record_metric("output_token_count", max_tokens)
        current_scope().record_metric("input_token_count", inputs["input_ids"].shape[1])
