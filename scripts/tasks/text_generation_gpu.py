"""python -m scripts.tasks.text_generation_gpu SUBJECT [--tiny]

Measures one subject of `python -m scripts.gpu_table` on the engine transformers without Cog, and writes each group of
figures as one JSON line when it is known. With --tiny the same code runs on the CPU, on models of two layers.
"""

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from models import manifest, weights
from models.engine import Device
from models.tasks.text_generation import engines, model_files
from models.tasks.text_generation.engines import memory
from models.tasks.text_generation.engines.interface import Engine, Generation, Sampling
from models.tasks.text_generation.manifest import Architecture, EngineChoice, Manifest
from models.tasks.text_generation.tokenizer import Tokenizer
from scripts.benchmark.load import percentile
from scripts.cli import command

Figures = dict[str, Any]
_TINY = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2}
_TINY |= {"num_hidden_layers": 2, "vocab_size": 512}
_SHAPES = {
    "135M": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
    | {"num_key_value_heads": 3, "vocab_size": 49_152, "tie_word_embeddings": True},
    "8B": {"hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32, "num_attention_heads": 32}
    | {"num_key_value_heads": 8, "vocab_size": 128_256, "tie_word_embeddings": False},
}
"""The shapes of SmolLM2-135M and of Llama-3.1-8B."""
_FIRST = 16
"""The tokens of the shortest prompt of which the next token is compared."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured. `streams`: at once; lengths in tokens; `shapes`: prompts of a new length each."""

    streams: Sequence[int]
    output: int
    long_prompts: int
    long_prompt: int
    shapes: int
    positions: int


FULL = Sizes(streams=(1, 16, 64), output=128, long_prompts=16, long_prompt=2000, shapes=100, positions=1000)
TINY = Sizes(streams=(1, 4), output=8, long_prompts=2, long_prompt=40, shapes=4, positions=8)
SUBJECTS: dict[str, dict[str, Any]] = {
    "135M": {"shape": "135M", "cache_gb": 4},
    "8B": {"shape": "8B", "cache_gb": 8},
    "135M, efficient kernel": {"shape": "135M", "cache_gb": 4, "kernel": "efficient"},
    "8B, efficient kernel": {"shape": "8B", "cache_gb": 8, "kernel": "efficient"},
    "8B, int4": {"shape": "8B", "cache_gb": 8, "quantisation": "int4"},
    "8B, int8": {"shape": "8B", "cache_gb": 8, "quantisation": "int8"},
}
"""The subjects: a shape, and the settings that differ from the usual ones."""


def main(argv: list[str]) -> int:
    return command.run(measure, argv, "scripts.tasks.text_generation_gpu")


def measure(subject: str, tiny: Annotated[bool, typer.Option("--tiny", help="on the CPU")] = False) -> None:
    """Measure one subject."""
    with redirect_stdout(sys.stderr):
        for name, figures in _groups(subject, tiny):
            print(json.dumps({name: figures}), file=sys.__stdout__, flush=True)
    os._exit(0)  # without waiting for the engine's thread


def _groups(subject: str, tiny: bool) -> Iterator[tuple[str, Figures]]:
    """The groups of figures of a subject, each with its name."""
    if subject == "machine":
        return iter([("machine", machine_figures(tiny))])
    _, is_making, shape = subject.partition("weights of ")
    if is_making:
        folder_of(shape, tiny)
        return iter(())
    return _figures(subject, tiny)


def machine_figures(tiny: bool) -> Figures:
    """The device, and the bandwidth of its memory, measured with a copy."""
    import torch

    device = _device(tiny)
    values = torch.ones((1 << 20) if tiny else (1 << 30), dtype=torch.float32, device=device)
    target = torch.empty_like(values)
    seconds = min(_seconds(lambda: target.copy_(values), device) for _ in range(10))
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return {"device": name, "bandwidth_gb_s": 2 * values.nbytes / seconds / 1e9}


def _figures(subject: str, tiny: bool) -> Iterator[tuple[str, Figures]]:
    sizes, described, device = (TINY if tiny else FULL), SUBJECTS[subject], _device(tiny)
    folder = folder_of(described["shape"], tiny)
    engine, choice = _started(folder, described, device)
    answered([[1, 2, 3]], engine, 1)
    seconds = time.time() - psutil.Process().create_time()
    origin = "random" if folder.parent == Path(tempfile.gettempdir()) else "as downloaded"
    gb = memory.weight_bytes(choice, folder) / 1e9
    yield "weights", {"origin": origin, "gb": gb, "read_in_a_step_gb": gb - _unread_gb(_config(folder))}
    yield "start", {"first_token_seconds": seconds, "attention": engine.attention, "dtype": engine.dtype}
    vocabulary = int(_config(folder)["vocab_size"])
    for streams in sizes.streams:
        prompts = [_prompt(vocabulary, 32, number) for number in range(streams)]
        answered(prompts, engine, sizes.output)
        runs = [answered(prompts, engine, sizes.output) for _ in range(2)]
        yield (
            f"{streams} streams",
            {
                "tokens_per_second": statistics.median(streams * sizes.output / run.seconds for run in runs),
                "first_token_ms": statistics.median(1000 * statistics.median(run.firsts) for run in runs),
            },
        )
    long = [_prompt(vocabulary, sizes.long_prompt, 1000 + number) for number in range(sizes.long_prompts)]
    yield "long prompts", {"last_first_token_seconds": max(answered(long, engine, 4).firsts)}
    yield "memory", {"peak_gb": _peak_gb(device)}
    yield "new shapes beside 16 streams", new_shapes(engine, vocabulary, sizes)
    for streams in sizes.streams[:2]:
        yield f"profile of {streams} streams", profile(engine, vocabulary, streams, device)
    if text := _text(folder, sizes.positions):  # random weights make many tokens almost equally likely
        yield "next token as in float32", agreement(engine, folder, text, device)
    engine.stop()


@dataclass(frozen=True)
class Answered:
    """One run: its seconds, and for each prompt the seconds to its first token and its tokens."""

    seconds: float
    firsts: list[float]
    tokens: list[list[int]]


def answered(prompts: Sequence[list[int]], engine: Engine, tokens: int) -> Answered:
    """Run all prompts at once, greedy and to the full length."""
    sampling = Sampling(tokens, 0, 1, 0, 1, 0)
    generations = [Generation(prompt, sampling) for prompt in prompts]
    firsts, made = [0.0] * len(prompts), [[] for _ in prompts]  # type: list[float], list[list[int]]
    begun = time.perf_counter()

    def read(index: int) -> None:
        for part in generations[index]:
            firsts[index] = firsts[index] or time.perf_counter() - begun
            made[index] += part

    threads = [threading.Thread(target=read, args=(index,)) for index in range(len(prompts))]
    for generation in generations:
        engine.submit(generation)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Answered(time.perf_counter() - begun, firsts, made)


def new_shapes(engine: Engine, vocabulary: int, sizes: Sizes) -> Figures:
    """The time to the first token of prompts that each have a new length, one after another beside 16 streams."""
    endless = Sampling(100_000 if sizes is FULL else 200, 0, 1, 0, 1, 0)
    beside = [Generation(_prompt(vocabulary, 32, 2000 + number), endless) for number in range(16)]
    for generation in beside:
        engine.submit(generation)
    for generation in beside:
        next(iter(generation))
    milliseconds = [
        1000 * answered([_prompt(vocabulary, 7 + 5 * number, 3000 + number)], engine, 1).firsts[0]
        for number in range(sizes.shapes)
    ]
    for generation in beside:
        generation.cancel()
    return {"p50_ms": statistics.median(milliseconds), "p99_ms": percentile(milliseconds, 0.99)}


def profile(engine: Engine, vocabulary: int, streams: int, device: Device) -> Figures:
    """The share of a run in which the device computes, and in which kernels (on the CPU: in which operations)."""
    from torch.profiler import ProfilerActivity, profile

    prompts = [_prompt(vocabulary, 32, number) for number in range(streams)]
    activity = ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU
    with profile(activities=[activity]) as found:
        seconds = answered(prompts, engine, 16).seconds
    rows = [(row.key, row.count, _self_ms(row, device)) for row in found.key_averages()]
    rows.sort(key=lambda row: -row[2])
    kernels = [f"{ms:.2f} ms in {count} calls of {name[:80]}" for name, count, ms in rows[:12]]
    return {"run_ms": 1000 * seconds, "computing_ms": sum(row[2] for row in rows), "kernels": kernels}


def agreement(engine: Engine, folder: Path, text: list[int], device: Device) -> Figures:
    """The share of positions in a text where the engine's next token is also the most likely one in float32."""
    import torch

    from models.runtimes import checkpoint

    positions = len(text) - _FIRST
    prompts = [text[: _FIRST + number] for number in range(positions)]
    found = [tokens for at in range(0, positions, 64) for tokens in answered(prompts[at : at + 64], engine, 1).tokens]
    model = checkpoint.load(folder, dtype=torch.float32, device_map=device)
    with torch.inference_mode():
        best = model(torch.tensor([text], device=device)).logits[0].argmax(-1).tolist()
    same = sum(tokens == [best[_FIRST - 1 + number]] for number, tokens in enumerate(found))
    return {"share": same / positions, "positions": positions}


def _text(folder: Path, positions: int) -> list[int]:
    """The beginning of a book in the tokens of the model in a folder; empty if there is no tokenizer."""
    if not (folder / "tokenizer.json").is_file():
        return []
    book = (manifest.PROJECT / "benchmarks" / "alice.txt").read_text(encoding="utf-8")
    return Tokenizer(model_files.read(folder)).encode(book)[: _FIRST + positions]


def folder_of(shape: str, tiny: bool) -> Path:
    """The weights of the catalogue's model of this shape, if `make weights` has made them, or random ones."""
    real = weights.folder("smollm2-135m-instruct", "transformers")
    return real if shape == "135M" and not tiny and (real / "config.json").is_file() else made(shape, tiny)


def made(shape: str, tiny: bool) -> Path:
    """The folder of a Llama of this shape with random weights in bfloat16, created on first use."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = Path(tempfile.gettempdir()) / f"gpu-table-{'tiny-' if tiny else ''}{shape}"
    if not (folder / "config.json").is_file():
        config = LlamaConfig(**(_TINY if tiny else _SHAPES[shape]), max_position_embeddings=8192)
        torch.manual_seed(0)
        torch.set_default_dtype(torch.bfloat16)
        with torch.device(_device(tiny)):
            LlamaForCausalLM(config).save_pretrained(folder)
        torch.set_default_dtype(torch.float32)
    return folder


def _started(folder: Path, described: dict[str, Any], device: Device) -> tuple[Engine, EngineChoice]:
    """The engine of a subject, with the subject's kernel instead of the device's own if it names one."""
    from models.tasks.text_generation.engines import packed_attention

    if kernel := described.get("kernel") if device == "cuda" else None:
        packed_attention._kernel = lambda *_, **__: (kernel, "as the measurement asks")
    config = _config(folder)
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    layers, kv_heads = config["num_hidden_layers"], config["num_key_value_heads"]
    shape = Architecture(layers=layers, kv_heads=kv_heads, head_dim=head_dim)
    model = manifest.selected_as(Manifest).model_copy(update={"architecture": shape})
    keys = {"engine": "transformers", "device": device, "dtype": "bfloat16", "cache_gb": described["cache_gb"]}
    choice = EngineChoice.model_validate(keys | {"quantisation": described.get("quantisation")})
    engine = engines.load(model, choice, folder)
    engines.warm_up(engine)
    return engine, choice


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def _unread_gb(config: dict[str, Any]) -> float:
    """The embeddings, of which a step reads only some rows, unless the output layer shares them; in 16 bits."""
    return 0 if config["tie_word_embeddings"] else 2 * config["vocab_size"] * config["hidden_size"] / 1e9


def _device(tiny: bool) -> Device:
    return "cpu" if tiny else "cuda"


def _prompt(vocabulary: int, tokens: int, seed: int) -> list[int]:
    """Random tokens, the same for a seed."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return [int(token) for token in torch.randint(10, vocabulary, (tokens,), generator=generator)]


def _self_ms(row: Any, device: Device) -> float:
    return float(row.self_device_time_total if device == "cuda" else row.self_cpu_time_total) / 1000


def _seconds(compute: Callable[[], Any], device: Device) -> float:
    import torch

    begun = time.perf_counter()
    compute()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def _peak_gb(device: Device) -> float:
    import torch

    return (torch.cuda.max_memory_allocated() if device == "cuda" else psutil.Process().memory_info().rss) / 1e9


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
