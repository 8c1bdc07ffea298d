"""python scripts/benchmark/vllm_peer.py FOLDER

Measures vLLM on a folder of safetensors as gpu_table measures the engine transformers. gpu_table runs it with the
Python that VLLM_PYTHON names, whose environment has vllm; it imports nothing of this project.
Each group of figures is one JSON line with the names of scripts/tasks/text_generation_gpu.py.
"""

import json
import os
import random
import statistics
import sys
import time
from typing import Any

import psutil

_SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine in this process, as ours
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_HOST_IP": "127.0.0.1",
    "GLOO_SOCKET_IFNAME": "lo",
    "NCCL_SOCKET_IFNAME": "lo",
}


def main(folder: str) -> None:
    os.environ.update({name: value for name, value in _SETTINGS.items() if name not in os.environ})
    import vllm

    model = vllm.LLM(
        model=folder,
        dtype="bfloat16",
        skip_tokenizer_init=True,
        gpu_memory_utilization=0.6,
        max_model_len=4096,
        max_num_seqs=64,
        enable_prefix_caching=False,
    )
    _run(model, 1, 32, 1)
    seconds = time.time() - psutil.Process().create_time()
    _say("start", first_token_seconds=seconds, attention=f"vllm {vllm.__version__}")
    for streams in (1, 16, 64):
        _run(model, streams, 32, 128)
        median = statistics.median(_run(model, streams, 32, 128) for _ in range(2))
        _say(f"{streams} streams", tokens_per_second=streams * 128 / median)
    _run(model, 16, 2000, 1)
    _say("long prompts", last_first_token_seconds=_run(model, 16, 2000, 1))


def _run(model: Any, count: int, prompt: int, output: int) -> float:
    """The seconds for `count` random prompts at once, greedy and to the full length."""
    from vllm import SamplingParams

    vocabulary = model.llm_engine.model_config.get_vocab_size()
    prompts = [{"prompt_token_ids": random.choices(range(10, vocabulary), k=prompt)} for _ in range(count)]
    sampling = SamplingParams(temperature=0, max_tokens=output, ignore_eos=True, detokenize=False)
    begun = time.perf_counter()
    answers = model.generate(prompts, sampling, use_tqdm=False)
    seconds = time.perf_counter() - begun
    made = [len(answer.outputs[0].token_ids) for answer in answers]
    if made != [output] * count:
        raise RuntimeError(f"vllm made {made} tokens, not {output} each")
    return seconds


def _say(group: str, **figures: float | str) -> None:
    print(json.dumps({group: figures}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
