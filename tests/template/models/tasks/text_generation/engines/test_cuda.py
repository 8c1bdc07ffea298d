"""The code for CUDA, as far as a CPU can test it; with a GPU its kernels and graphs are tested too."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers as library
from transformers.generation.continuous_batching import cb_logits_processors

from models.engine import EngineChoice
from models.manifest import Manifest
from models.tasks.text_generation import engines
from models.tasks.text_generation.engines import packed_attention, request_sampling
from models.tasks.text_generation.engines.cuda_graphs import StepGraphs
from models.tasks.text_generation.engines.transformers import Transformers
from tests.template.models.tasks.text_generation.engines.helpers import sampling, started, tokens

CUDA = torch.cuda.is_available()
SHAPE = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}


def on_cpu(tiny: tuple[Manifest, EngineChoice, Path]) -> tuple[Manifest, EngineChoice, Path]:
    model, choice, folder = tiny
    return model, choice.model_copy(update={"device": "cpu", "dtype": "float32"}), folder


def plain(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, window: int | None) -> torch.Tensor:
    """The attention of one request as a formula: query i of q sees key j of k if j <= i + k - q."""
    count, keys = query.size(0), key.size(0)
    result = torch.zeros_like(query)
    for head in range(query.size(1)):
        own = head * key.size(1) // query.size(1)
        for at in range(count):
            last = at + keys - count + 1
            seen = slice(max(0, last - (window or keys)), last)
            weights = (key[seen, own] @ query[at, head] / query.size(2) ** 0.5).softmax(0)
            result[at, head] = weights @ value[seen, own]
    return result


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("kernel", ["one by one", *(["efficient", "flash"] if CUDA else [])])
def test_each_request_attends_only_over_its_own_keys(kernel: packed_attention.Kernel, window: int | None) -> None:
    if kernel == "efficient" and window:
        return  # this kernel is never chosen for a model with a window
    torch.manual_seed(0)
    device, dtype = ("cpu", torch.float32) if kernel == "one by one" else ("cuda", torch.float16)
    starts, key_starts = [0, 5, 6, 6, 10], [0, 5, 14, 14, 20]
    packed = [torch.randn(size, heads, 16).to(dtype) for size, heads in ((10, 4), (20, 2), (20, 2))]
    expected = torch.cat(
        [
            plain(packed[0][a:b].float(), packed[1][c:d].float(), packed[2][c:d].float(), window)
            for a, b, c, d in zip(starts, starts[1:], key_starts, key_starts[1:], strict=False)
        ]
    )
    lengths = tuple(torch.tensor(where, dtype=torch.int32, device=device) for where in (starts, key_starts))
    moved = [tensor.to(device) for tensor in packed]
    result = packed_attention.attend(kernel, moved, lengths, (10, 64), 0.25, window).float().cpu()  # type: ignore[arg-type]
    assert torch.allclose(result, expected, atol=1e-5 if kernel == "one by one" else 5e-3)


@pytest.mark.parametrize(
    ("capability", "dtype", "has_window", "kernel"),
    [
        ((9, 0), torch.bfloat16, True, "flash"),
        ((8, 0), torch.float16, False, "flash"),
        ((7, 5), torch.float16, False, "efficient"),
        ((7, 5), torch.float16, True, None),
        ((9, 0), torch.float32, False, None),
    ],
)
def test_the_kernel_depends_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], dtype: torch.dtype, has_window: bool, kernel: Any
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    found, why = packed_attention._kernel(torch.device("cuda"), dtype, has_window)
    assert found == kernel
    assert why


def test_a_kernel_that_fails_or_is_wrong_is_not_used_and_the_log_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = library.LlamaForCausalLM(library.LlamaConfig(vocab_size=8, **SHAPE))
    monkeypatch.setattr(packed_attention, "_kernel", lambda *arguments, **named: ("flash", "a GPU"))
    choice = packed_attention.chosen(model)  # CPUs have no such kernel
    assert choice.name == "sdpa"
    assert choice.why.startswith("as PyTorch's flash kernel fails here: ")
    monkeypatch.setattr(packed_attention, "_difference", lambda *arguments: float("nan"))
    assert packed_attention.chosen(model).why == "as PyTorch's flash kernel is nan off here"


def test_an_attention_that_no_kernel_supports_is_not_replaced() -> None:
    config = library.Gemma2Config(vocab_size=8, head_dim=16, num_key_value_heads=2, **SHAPE)
    choice = packed_attention.chosen(library.Gemma2ForCausalLM(config))
    assert choice.why == "as no packed kernel has soft-capped scores"


@pytest.fixture
def padding(tiny: tuple[Manifest, EngineChoice, Path]) -> Iterator[tuple[Transformers, StepGraphs]]:
    """An engine whose steps are padded like for CUDA graphs, but computed without graphs, which a CPU does not have."""
    engine: Transformers = engines.load(*on_cpu(tiny))
    processor = engine._manager.batch_processor
    graphs = StepGraphs(processor, most_requests=4, most_prompt=64)
    graphs._captured = graphs._sizes
    processor.model_runner.pad_inputs = True
    processor.model_runner._get_forward_fn = lambda **named: (processor.model_runner._forward_process_and_sample, False)
    yield engine, graphs
    engine.stop()


def test_a_padded_step_computes_the_same(padding: tuple[Transformers, StepGraphs], transformers: Transformers) -> None:
    engine, graphs = padding
    prompts = [[5, 6, 7], [8] * 40, [9]]
    apart = [tokens(started(transformers, prompt)) for prompt in prompts]
    running = [started(engine, prompt) for prompt in prompts]
    assert [tokens(generation) for generation in running] == apart
    assert graphs.padded(3, 1, False) == (4, 1024)
    assert graphs.padded(44, 0, False)[0] == 64
    assert graphs.padded(65, 1, False) == (65, 1), "a longer prompt runs as it is"


@pytest.mark.skipif(not CUDA, reason="needs a GPU")
def test_on_cuda_every_step_has_its_graph(tiny: tuple[Manifest, EngineChoice, Path]) -> None:
    engine: Transformers = engines.load(*tiny)
    assert engine.attention.endswith("a kernel that reads block tables for decoding)")
    pairs = [pair.device_io.graphs._storage for pair in engine._manager.batch_processor.inputs_and_outputs.io_pairs]
    before = [len(pair) for pair in pairs]
    for count in (1, 3, 16):
        alone = tokens(started(engine, [5, 6, 7]))
        for generation in [started(engine, [5, 6, 7]) for _ in range(count)]:
            assert tokens(generation) == alone
    assert [len(pair) for pair in pairs] == before != [0, 0], "nothing is captured while it serves"
    engine.stop()


def test_the_penalty_gets_the_newest_token_and_the_seed_its_position_before_the_request_is_updated() -> None:
    """In the async mode a request gets its last token only after its next step was prepared."""
    chain = request_sampling.processors(2, 8, torch.device("cpu"))
    asked = request_sampling.arguments(sampling(repetition_penalty=2.0, temperature=1, seed=3), 8)
    state = SimpleNamespace(
        request_id="1", initial_tokens=[1], generated_tokens=[], position_offset=2, logit_processor_kwargs=asked
    )
    request = SimpleNamespace(state=state, has_new_token=True)
    storage = torch.zeros(chain.tensors_required, 1, dtype=torch.int32)
    chain.prepare_tensor_args([request], storage)
    penalty, seeded = chain.logits_processor[0], chain.logits_processor[-1]
    penalty.newest = torch.tensor([5])
    assert penalty(torch.ones(1, 8), storage[0]).tolist() == [[1, 0.5, 1, 1, 1, 0.5, 1, 1]]
    before = seeded.prepare_tensor_args([request])
    state.generated_tokens = [5]  # now the request gets its token, which changes nothing
    assert seeded.prepare_tensor_args([request]).equal(before)
    state.position_offset = 3
    assert not seeded.prepare_tensor_args([request]).equal(before)


@pytest.mark.parametrize("spread", [0.01, 1.0, 4.0])
def test_top_k_and_top_p_keep_what_sorting_the_vocabulary_keeps(spread: float) -> None:
    torch.manual_seed(0)
    scores, vocabulary = torch.randn(9, 5000) * spread, 5000
    top_k = torch.tensor([1, 2, 10, 50, 500, 1000, 1024, vocabulary, vocabulary], dtype=torch.int32)
    ours = request_sampling.TopK(library.TopKLogitsWarper(vocabulary))
    sorting = cb_logits_processors.ContinuousBatchingTopKLogitsWarper(library.TopKLogitsWarper(vocabulary))
    kept = ours(scores, top_k)
    assert kept.equal(sorting(scores, top_k))
    top_p = torch.tensor([0.01, 0.1, 0.3, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0]).view(torch.int32)
    for given in (scores, kept):
        few = request_sampling.TopP(library.TopPLogitsWarper(1.0))(given, top_p)
        expected = cb_logits_processors.ContinuousBatchingTopPLogitsWarper(library.TopPLogitsWarper(1.0))(given, top_p)
        other = few.isinf() != expected.isinf()
        assert other.sum() <= 1, "one token may be so close to the bound that float32 cannot tell"
        assert few[~other].equal(expected[~other])
        assert few[-1].equal(given[-1]), "1 keeps all"
        shares, logs = top_p.view(torch.float32).unsqueeze(-1)[:-1], given.log_softmax(-1)[:-1]
        lowest = [request_sampling.lowest_of_top_p(logs, shares, parts) for parts in (2, 4)]
        assert torch.allclose(*lowest, atol=1e-5)
