"""The key-value cache: as large as the manifest says, within the free memory; and errors for too little memory.

A lack of memory is raised in the model, a private part of the engine, because nothing else shows it on every machine.
"""

import mmap
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from transformers import MixtralConfig, MixtralForCausalLM

from models import manifest
from models.errors import EngineError
from models.facts import Facts
from models.runtimes import checkpoint
from models.tasks.text_generation import engines
from models.tasks.text_generation.engines import memory
from models.tasks.text_generation.engines import transformers as library
from models.tasks.text_generation.engines.transformers import Transformers
from models.tasks.text_generation.manifest import EngineChoice, Manifest
from models.weights import model_facts
from tests.template.models.tasks.text_generation.engines.helpers import started, tokens

MODEL = manifest.selected()
TOKEN_BYTES = 2 * 30 * 3 * 64 * 2


def choice(cache_gb: float) -> EngineChoice:
    return EngineChoice(engine="transformers", device="cpu", dtype="bfloat16", cache_gb=cache_gb)


def test_the_manifest_limits_the_cache() -> None:
    tokens = memory.cache_tokens(MODEL, choice(1), free_bytes=10**12, bytes_per_value=2, page=256)
    assert tokens == 2**30 // (TOKEN_BYTES * 256) * 256


def test_a_mapped_file_gives_its_memory_back_and_can_still_be_read(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(content := bytes(range(256)) * 4096)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[:] == content
        assert resident(path) == len(content)
        memory.release(tmp_path)
        assert resident(path) == 0
        assert mapped[:] == content


def resident(path: Path) -> int:
    """The bytes of a mapped file that are in this process's memory."""
    _, of_the_file = Path("/proc/self/smaps").read_text().split(str(path), 1)
    return int(of_the_file.split("Rss:", 1)[1].split()[0]) * 1024


def test_free_memory_limits_the_cache_to_whole_pages() -> None:
    tokens = memory.cache_tokens(MODEL, choice(1), free_bytes=2 * 1000 * TOKEN_BYTES, bytes_per_value=2, page=256)
    assert tokens == 768


def test_too_little_memory_is_an_error_with_the_numbers_and_the_remedy() -> None:
    with pytest.raises(EngineError, match=r"1 MB free on cpu beside the weights leave .* 23 kB a token: free some"):
        memory.cache_tokens(MODEL, choice(1), free_bytes=10**6, bytes_per_value=2, page=256)


def test_weights_larger_than_the_free_memory_are_an_error_too() -> None:
    with pytest.raises(EngineError, match=r"^0 MB free on cpu beside the weights"):
        memory.cache_tokens(MODEL, choice(1), free_bytes=-(10**9), bytes_per_value=2, page=256)


def test_a_container_s_limit_counts_and_its_page_cache_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("4000\n")
    (tmp_path / "memory.stat").write_text("anon 1900\nfile 2100\nshmem 100\ninactive_file 1500\nactive_file 500\n")
    assert memory.free_bytes("cpu") == 3000


@pytest.mark.parametrize("limit", ["max", None])
def test_without_a_limit_the_machine_s_memory_counts(
    limit: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    if limit:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert memory.free_bytes("cpu") > 10**6


def test_weights_that_do_not_fit_are_refused_before_they_are_loaded(
    tiny: tuple[Manifest, EngineChoice, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, choice, folder = tiny
    monkeypatch.setattr(memory, "free_bytes", lambda device: 10**6)
    with pytest.raises(EngineError, match=r"float32: the weights take 0\.03 GB, and 0\.00 GB are free: .*`hardware`"):
        engines.load(model, choice, folder)


def test_no_memory_left_at_setup_is_told_with_the_numbers_and_the_key(
    tiny: tuple[Manifest, EngineChoice, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(checkpoint, "load", _out_of_memory)
        with pytest.raises(
            EngineError, match=r"the weights take 0\.\d\d GB, and \d.* are free: .* `quantisation: int4`"
        ):
            engines.load(*tiny)
    monkeypatch.setattr(Transformers, "_batching", _out_of_memory)
    with pytest.raises(EngineError, match=r"GB were free on cpu .* 0\.01 GB of key-value cache .* lower cache_gb"):
        engines.load(*tiny)


def _out_of_memory(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


def test_a_prompt_without_memory_fails_alone_and_the_other_generations_continue(
    breakable: Transformers, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"max_tokens": 16, "temperature": 1, "seed": 3, "repetition_penalty": 1.2}
    expected = tokens(started(breakable, [5, 6, 7], **asked))
    compute, long = breakable._model.forward, 300

    def forward(*arguments: Any, **inputs: Any) -> Any:
        if inputs["input_ids"].shape[1] >= long:
            _out_of_memory()
        return compute(*arguments, **inputs)

    monkeypatch.setattr(breakable._model, "forward", forward)
    running = started(breakable, [5, 6, 7], **asked)
    first = next(iter(running))
    with pytest.raises(EngineError, match=r"no memory left for a step of 30\d tokens \(\d+ MB free\): .* cache_gb"):
        tokens(started(breakable, [8] * long))
    assert first + tokens(running) == expected
    assert breakable.is_healthy()
    assert tokens(started(breakable, [5, 6, 7], **asked)) == expected


def test_a_step_without_prompts_and_without_memory_fails_what_it_computed(
    breakable: Transformers, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = started(breakable, [5, 6, 7], max_tokens=2000)
    next(iter(running))
    with monkeypatch.context() as broken:
        broken.setattr(breakable._model, "forward", _out_of_memory)
        with pytest.raises(EngineError, match="no memory left for a step of 1 tokens"):
            tokens(running)
    breakable._manager._generation_thread.join()
    assert len(tokens(started(breakable, [5, 6, 7], max_tokens=4))) == 4


@pytest.mark.slow
@pytest.mark.parametrize("bits", ["int4", "int8"])
def test_weights_in_fewer_bits_take_what_is_counted_and_answer_alike(
    bits: Literal["int4", "int8"], tiny: tuple[Manifest, EngineChoice, Path]
) -> None:
    model, choice, folder = tiny
    smaller = choice.model_copy(update={"quantisation": bits})
    engine: Transformers = engines.load(model, smaller, folder)
    kinds = [type(module).__name__ for module in (engine._model.model.layers[0].mlp.gate_proj, engine._model.lm_head)]
    assert kinds == ["Linear4bit" if bits == "int4" else "Linear8bitLt", "Linear"]
    facts = model_facts.read([path.name for path in folder.iterdir()], folder)
    assert smaller.weight_bytes(facts) == pytest.approx(engine._model.get_memory_footprint(), rel=0.02)
    assert len(tokens(started(engine, [5, 6, 7], max_tokens=4))) == 4
    engine.stop()
    ids = list(range(5, 37))
    plain, rounded = (torch.tensor(library.logits(model, one, folder)(ids)) for one in (choice, smaller))
    alike = torch.cosine_similarity(rounded, plain, dim=-1).mean()
    assert (0.8 if bits == "int4" else 0.98) < alike < 0.99999


def test_weights_in_4_bits_on_openvino_take_what_is_counted_with_embeddings_in_16() -> None:
    choice = EngineChoice(engine="openvino", device="cpu", dtype="int4", cache_gb=1)
    counted = choice.weight_bytes(Facts(parameters=134_515_008, embedding_parameters=28_311_552))
    assert counted == pytest.approx(123_049_086, rel=0.001)  # the file made from the default model


def test_experts_that_quantisation_leaves_as_they_are_are_refused_with_both_sizes(
    tiny: tuple[Manifest, EngineChoice, Path], tmp_path: Path
) -> None:
    model, choice, _ = tiny
    sizes = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4}
    config = MixtralConfig(num_hidden_layers=1, num_key_value_heads=2, num_local_experts=8, **sizes)
    MixtralForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(EngineError, match=r"architecture mixtral 0\.00 GB, not 0\.00 GB, .*: leave out quantisation"):
        engines.load(model, choice.model_copy(update={"quantisation": "int4"}), tmp_path)
