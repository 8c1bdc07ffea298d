"""Triton's kernels against plain computations: on the GPU, or on the CPU by Triton's interpreter."""

import itertools
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
import transformers as library

from models.engine import EngineChoice
from models.manifest import PROJECT, Manifest
from models.tasks.text_generation import engines
from models.tasks.text_generation.engines import fast_preparation, fused_layers, packed_attention, request_sampling
from models.tasks.text_generation.engines.transformers import Transformers
from tests.template.models.tasks.text_generation.engines.helpers import sampling, started, tokens

pytest.importorskip("triton", reason="PyTorch for CPUs comes without Triton")
from models.tasks.text_generation.engines import triton_attention, triton_layers, triton_sampling

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = torch.float16  # the interpreter has no bfloat16 for tl.dot
PAGE = 64


@pytest.mark.parametrize(
    ("heads", "key_heads", "values", "lengths"),
    [(6, 2, 16, [1, 40, 0]), (4, 1, 24, [PAGE, PAGE + 1, 3 * PAGE]), (2, 2, 32, [2 * PAGE - 1])],
)
def test_decoding_reads_its_own_pages_in_their_order(
    heads: int, key_heads: int, values: int, lengths: list[int]
) -> None:
    torch.manual_seed(0)
    needed = [-(-length // PAGE) for length in lengths]
    order = iter(torch.randperm(sum(needed) + 1).tolist())
    table = torch.tensor([[next(order) for _ in range(count)] + [-1] * (4 - count) for count in needed])
    shapes = [(len(lengths), heads), *[(len(lengths), key_heads)] * 2, *[(sum(needed) + 1, PAGE, key_heads)] * 2]
    query, key, value, *pages = (torch.randn(*shape, values).to(DTYPE) for shape in shapes)
    ends = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32)
    on_device = [page.to(DEVICE, copy=True) for page in pages]
    result = triton_attention.attend(
        query.to(DEVICE),
        (key.to(DEVICE), value.to(DEVICE)),
        (on_device[0], on_device[1]),
        table.to(DEVICE, torch.int32),
        ends.to(DEVICE),
        values**-0.5,
    ).cpu()
    for request, length in enumerate(lengths):
        if length:
            last = table[request, (length - 1) // PAGE], (length - 1) % PAGE
            pages[0][last], pages[1][last] = key[request], value[request]
            own = [page[table[request, : needed[request]]].flatten(0, 1)[:length].float() for page in pages]
            own = [tensor.repeat_interleave(heads // key_heads, 1) for tensor in own]
            weights = (torch.einsum("hv,khv->hk", query[request].float(), own[0]) * values**-0.5).softmax(-1)
            assert torch.allclose(torch.einsum("hk,khv->hv", weights, own[1]), result[request].float(), atol=5e-3)
    assert all(torch.equal(mine.cpu(), page) for mine, page in zip(on_device, pages, strict=True)), "only new tokens"


@pytest.mark.parametrize("spread", [0.05, 3.0])
def test_one_kernel_chooses_the_token_that_all_processors_choose(spread: float) -> None:
    torch.manual_seed(0)
    vocabulary = 20_000
    asked = [
        sampling(),
        sampling(repetition_penalty=1.5),
        sampling(temperature=1, seed=2),
        sampling(temperature=1, top_p=0.9, seed=3),
        sampling(temperature=0.7, top_p=0.9, top_k=50, repetition_penalty=1.2, seed=4),
        sampling(temperature=1.5, top_p=0.5, repetition_penalty=1.3, seed=5),
        sampling(temperature=2, top_k=1, seed=6),
        sampling(temperature=1, top_k=1000, top_p=0.99, seed=7),
    ]
    chain = request_sampling.processors(len(asked), vocabulary, torch.device(DEVICE))
    storage = torch.zeros(chain.tensors_required, len(asked), dtype=torch.int32, device=DEVICE)
    chain.prepare_tensor_args([_request(number, one, vocabulary) for number, one in enumerate(asked)], storage)
    scores = torch.randn(len(asked), vocabulary, device=DEVICE) * spread
    newest = torch.arange(len(asked), dtype=torch.int32, device=DEVICE)
    penalty = chain.logits_processor[0]
    winners = triton_sampling.chosen(scores, newest, penalty.factors, penalty.penalties, storage)
    assert winners.equal(chain(newest, scores, storage).argmax(-1))


def _request(number: int, asked: Any, vocabulary: int) -> SimpleNamespace:
    state = SimpleNamespace(
        request_id=str(number),
        initial_tokens=[1, 2, 3, 4 + number],
        generated_tokens=[5],
        position_offset=7 + number,
        logit_processor_kwargs=request_sampling.arguments(asked, vocabulary),
    )
    return SimpleNamespace(state=state, has_new_token=True)


@pytest.mark.parametrize(
    ("family", "fused"),
    [
        ("Llama", "3 norms, 1 gated activations, the queries, keys and values of 1 layers and all rotary"),
        ("Qwen3", "5 norms, 1 gated activations, the queries, keys and values of 1 layers and all rotary"),
        ("Gemma", "0 norms, 0 gated activations, the queries, keys and values of 1 layers and all rotary"),
    ],
)
def test_only_layers_with_equal_results_are_fused(family: str, fused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    shape = {"hidden_size": 96, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 6}
    config = getattr(library, f"{family}Config")(vocab_size=8, head_dim=24, num_key_value_heads=2, **shape)
    model = getattr(library, f"{family}ForCausalLM")(config).eval().to(DEVICE)
    file = __import__(type(model).__module__, fromlist=[""])
    monkeypatch.setattr(file, "apply_rotary_pos_emb", file.apply_rotary_pos_emb)  # undone after the test
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    ids = torch.tensor([[1, 2, 3, 4]], device=DEVICE)
    with torch.no_grad():
        before = model(ids).logits
        assert fused in fused_layers.install(model)
        assert torch.allclose(model(ids).logits, before, atol=1e-5)


def test_layers_that_cannot_be_fused_stay_and_the_log_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = library.LlamaForCausalLM(library.LlamaConfig(vocab_size=8, **shape)).eval().to(DEVICE)
    ids = torch.tensor([[1, 2]], device=DEVICE)
    before = model(ids).logits
    monkeypatch.setattr(triton_layers, "norm", lambda *given: torch.zeros(3, 16, device=DEVICE))
    monkeypatch.setattr(fused_layers, "_fuse_rotary", failing := Mock(side_effect=OSError("no compiler")))
    failing.__name__ = "_fuse_rotary"
    log = fused_layers.install(model)
    assert log.startswith("one kernel each for 0 norms, 1 gated activations")
    assert log.endswith(
        "no rotary embeddings; logits in the number format of the weights; others stay as they are: "
        "OSError in _fuse_rotary: no compiler"
    )
    assert torch.allclose(model(ids).logits, before, atol=1e-5)


def test_an_engine_that_reads_block_tables_generates_the_same(
    tiny: tuple[Manifest, EngineChoice, Path], transformers: Transformers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_attention, "_obstacle_to_block_tables", lambda *arguments: None)
    engine: Transformers = engines.load(*tiny)
    cache = engine._manager.batch_processor.cache
    assert cache.max_blocks_per_request > 0
    if DEVICE == "cpu":  # on a GPU it was installed
        monkeypatch.setattr(cache, "fill_block_table", lambda *given: fast_preparation._fill_block_table(cache, *given))
    steps = []
    attend = triton_attention.attend
    monkeypatch.setattr(triton_attention, "attend", lambda *given: steps.append(1) or attend(*given))
    asked = [([5, 6, 7], {}), ([8] * 255, {"temperature": 1, "seed": 3}), ([9] * 300, {"repetition_penalty": 1.3})]
    apart = [tokens(started(transformers, prompt, max_tokens=4, **changes)) for prompt, changes in asked]
    together = [started(engine, prompt, max_tokens=4, **changes) for prompt, changes in asked]
    assert [tokens(generation) for generation in together] == apart
    assert steps
    engine.stop()


def test_tokens_are_carried_from_step_to_step_as_the_library_does_it() -> None:
    from transformers.generation.continuous_batching.input_outputs import ContinuousBatchingAsyncIOs

    positions = [{"a": 3, "b": 4, "c": 9}, {"c": 0, "d": 5, "a": 7}]
    pairs = [SimpleNamespace(host_io=SimpleNamespace(req_id_to_new_token_position=own)) for own in positions]
    for current in (0, 1):
        inputs = SimpleNamespace(current_pair=current, max_batch_tokens=12, io_pairs=pairs)
        assert fast_preparation._carry_over_ids(inputs).equal(ContinuousBatchingAsyncIOs.infer_carry_over_ids(inputs))


def test_the_kernels_compile_for_gpus_without_one() -> None:
    """The interpreter accepts more than the compiler. Compute capability 7.5 is that of a T4."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    found = subprocess.run(
        [sys.executable, "-c", _COMPILE], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr[-3000:]
    assert found.stdout.split() == ["75", "90"]


_COMPILE = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from models.tasks.text_generation.engines import triton_attention, triton_layers, triton_sampling

INTEGERS = {"table", "ends", "arguments", "newest"}
WIDE = {"partial", "weights", "scores", "factors", "penalties", "shares"}
VALUES = {"GROUP": 3, "ROWS": 4, "VALUES": 64, "PADDED": 64, "COUNT": 64, "HALF": 32}
VALUES |= {"PAGE": 256, "BLOCK": 64, "PARTS": 8, "STEPS": 12}

def kind(name, half):
    if name.isupper():
        return "constexpr"
    if name.endswith(("_stride", "_token", "_head")) or name == "stride":
        return "i64"
    if name in ("scale", "epsilon"):
        return "fp32"
    if name in ("count", "vocabulary"):
        return "i32"
    return "*i32" if name in INTEGERS else "*i64" if name == "winners" else "*fp32" if name in WIDE else half

for capability, half in ((75, "*fp16"), (90, "*bf16")):
    for kernel in (
        triton_attention._attend_to_part,
        triton_attention._join_parts,
        triton_layers._norm,
        triton_layers._rotate,
        triton_layers._silu_and_multiply,
        triton_sampling._choose,
    ):
        names = kernel.arg_names
        signature = {name: kind(name, half) for name in names}
        if kernel is triton_attention._attend_to_part:
            signature |= {"new_key": half, "new_value": half}
        constants = {(names.index(name),): value for name, value in VALUES.items() if name in names}
        compile(ASTSource(kernel, signature, constants), target=GPUTarget("cuda", capability, 32))
    print(capability)
"""
