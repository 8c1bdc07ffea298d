"""Checks from weights.lock, before a download, whether the engines of a manifest can run a language model.

Architectures have the names of config.json (model_type). The libraries know more architectures than these, but may not
run them with continuous batching.
"""

from collections.abc import Collection

from models.errors import EngineError
from models.facts import Facts
from models.manifest import path_of
from models.runtimes.gguf.config import ARCHITECTURES as OF_GGUF
from models.tasks.text_generation.manifest import Manifest
from models.weights import completeness, openvino_format


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRANSFORMERS = _words(
    """
    afmoe apertus arcee aria_text axk1 axk2 bitnet cohere cohere2 cohere2_moe cwm dbrx deepseek_v2 deepseek_v3
    diffllama doge dots1 ernie4_5 ernie4_5_moe exaone4 exaone_moe flex_olmo gemma gemma2 gemma3_text gemma4_text
    gemma4_unified_text glm glm4 glm4_moe glm4_moe_lite gpt-sw3 gpt2 gpt_bigcode gpt_neox gpt_oss granite
    granite_swa granitemoe granitemoe_swa granitemoeshared helium hunyuan_v1_dense hunyuan_v1_moe hyperclovax
    jais2 llama llama4_text mellum ministral ministral3 mistral mixtral modernbert-decoder nanochat nemotron olmo
    olmo2 olmo3 olmoe opt persimmon phi phi3 phimoe qwen2 qwen2_moe qwen3 qwen3_moe seed_oss smollm3 solar_open
    starcoder2 vaultgemma
    """
)
"""The architectures that transformers can run with paged attention in its continuous batching."""
OPTIMUM = _words(
    """
    afmoe arcee biogpt bloom codegen cohere cohere2 dbrx deepseek_v2 deepseek_v3 exaone4 falcon gemma gemma2
    gemma3_text glm glm4 gpt2 gpt_bigcode gpt_neo gpt_neox gpt_neox_japanese gpt_oss gptj granite granitemoe
    hunyuan_v1_dense llama mistral mixtral mpt olmo olmo2 opt persimmon phi phi3 phimoe qwen2 qwen2_moe qwen3
    qwen3_moe smollm3 stablelm starcoder2 xglm
    """
)
"""The architectures that optimum-intel converts for OpenVINO, and that GenAI can run with paged attention."""
STATEFUL = _words(
    """
    bailing_hybrid bamba deepseek_v4 falcon_h1 falcon_mamba granitemoehybrid jamba kimi_linear lfm2 lfm2_moe mamba
    mamba2 minimax nemotron_h olmo_hybrid qwen3_5 qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen3_next
    recurrent_gemma rwkv xlstm zamba zamba2 zaya
    """
)
"""The architectures with a state besides, or instead of, a key-value cache: Mamba, recurrent and hybrid ones."""

_LIBRARIES = {"openvino": ("optimum-intel", OPTIMUM), "transformers": ("transformers", TRANSFORMERS)}
_PLAIN = "another repository of the model in plain float16 or bfloat16 (transformers rounds it with quantisation: int4)"


def check(model: Manifest, facts: Facts, names: Collection[str]) -> None:
    """Check each engine of the manifest; `names`: the locked files.

    Raises:
        EngineError: one cannot run the model; names it, the reason, and an edit that works.
    """
    problems = {engine: _problem(engine, facts, names) for engine in _LIBRARIES}
    able = [engine for engine, why in problems.items() if not why]
    for choice in model.engines:
        if why := problems.get(choice.engine):
            edit = f"name {' or '.join(able)} in place of it under `engines`" if able else "no other engine can"
            raise EngineError(f"{path_of(model.slug)}: {choice.engine} cannot run these weights: {why}; {edit}")


def _problem(engine: str, facts: Facts, names: Collection[str]) -> str:
    """Why an engine cannot run the model; empty if it can."""
    kind = str(facts.architecture)
    if completeness.ggufs(names):
        why = f"GGUFs of the architecture {kind} cannot be read, take the model's safetensors"
        return "" if kind in OF_GGUF else why
    if engine == "openvino" and openvino_format.MODEL in names:
        return ""
    if facts.architecture is None:
        return "there is no config.json with a model_type beside them, correct weights.files"
    if facts.quantization:
        return f"they are quantised by {facts.quantization}, which needs a package that no image has, take {_PLAIN}"
    return _unknown(engine, facts, kind) or _tokenizer(engine, names)


def _unknown(engine: str, facts: Facts, kind: str) -> str:
    if facts.is_encoder_decoder:
        return f"{kind} has an encoder, and text-generation runs decoders alone, take another model"
    if kind in STATEFUL:
        return (
            f"{kind} has a recurrent state, not just a key-value cache, and no engine here can batch it, "
            "take another model"
        )
    library, known = _LIBRARIES[engine]
    if kind in known:
        return ""
    if facts.has_code:
        return f"{kind} needs code of its repository, which is never run, take a model that {library} knows"
    return f"{library} does not run the architecture {kind}"


def _tokenizer(engine: str, names: Collection[str]) -> str:
    """Why there is no tokenizer. For OpenVINO older files are enough: the conversion makes tokenizer.json from them."""
    if "tokenizer.json" in names:
        return ""
    if engine == "openvino" and ("tokenizer.model" in names or {"vocab.json", "merges.txt"} <= set(names)):
        return ""
    return (
        "there is no tokenizer.json, make one: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER), of "
        "transformers with sentencepiece, and put it beside the weights"
    )
