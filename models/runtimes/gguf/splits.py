"""How byte-level BPE splits a text into words before it merges, by the name in a GGUF file (tokenizer.ggml.pre).

Each name's patterns are applied one after the other, as llama.cpp does:
https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp
"""

from typing import NamedTuple

from models.errors import EngineError

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_LLAMA3 = rf"{_CONTRACTION}|{_WORD}|\p{{N}}{{1,3}}|{_SIGNS}|{_SPACES}"
_QWEN2 = rf"{_CONTRACTION}|{_WORD}|\p{{N}}|{_SIGNS}|{_SPACES}"
_QWEN35 = (
    rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
)
_SEED = rf"{_CONTRACTION}|{_WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_SPACES}"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_TEKKEN = rf"{_BEFORE}{_UPPER}*{_LOWER}+|{_BEFORE}{_UPPER}+{_LOWER}*|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
_GPT4O = (
    rf"{_BEFORE}{_UPPER}*{_LOWER}+{_CONTRACTION}?|{_BEFORE}{_UPPER}+{_LOWER}*{_CONTRACTION}?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
)
_DEEPSEEK3 = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_SPACES}",
)
_DEEPSEEK_CODER = ("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", r"\p{N}")
_FALCON = (r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, r"[0-9][0-9][0-9]")
_BLOOM = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
_DIGITS = (r"\p{N}", _GPT2)


class Split(NamedTuple):
    """`patterns`: regular expressions; `takes_whole_words`: whether a word that is a token is taken without merges.

    `adds_begin`: whether a text begins with the begin token if the file does not say; `is_composed`: whether text is
    first normalised to Unicode's NFC, as Qwen's tokenizers do.
    """

    patterns: tuple[str, ...]
    takes_whole_words: bool = False
    adds_begin: bool = False
    is_composed: bool = False


_KINDS: dict[Split, str] = {
    Split((_LLAMA3,), takes_whole_words=True, adds_begin=True): (
        "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2"
    ),
    Split((_LLAMA3,)): "dbrx smaug-bpe chatglm-bpe glm4",
    Split((_TEKKEN,), takes_whole_words=True, adds_begin=True): "tekken",
    Split((_QWEN2,), is_composed=True): "qwen2 deepseek-r1-qwen",
    Split((_QWEN2,)): "stablelm2 megrez kormo hunyuan grok-2",
    Split((_QWEN35,), is_composed=True): "qwen35",
    Split((_SEED,)): "seed-coder",
    Split((_GPT4O,)): "gpt-4o llama4 kanana2 minimax-m2",
    Split((_GPT2,)): "gpt-2 phi-2 gigachat mpt olmo jais trillion granite-docling exaone4 a.x-4.0 mellum",
    Split(_DIGITS): "smollm starcoder refact command-r codeshell exaone minerva-7b",
    Split(_DEEPSEEK3): "deepseek-v3 hunyuan-dense",
    Split(_DEEPSEEK_CODER): "deepseek-coder",
    Split(_FALCON): "falcon",
    Split((_BLOOM,)): "bloom poro-chat gpt3-finnish",
    Split((_BLOOM, r"\p{N}")): "viking",
    Split((r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]")): "default",
}
_SPLITS = {name: split for split, names in _KINDS.items() for name in names.split()}


def split_of(name: str | None) -> Split:
    """How the pre-tokenizer `name` splits a text.

    Raises:
        EngineError: it is not supported here; a guess would give other tokens than those of the training.
    """
    if name not in _SPLITS:
        what = f"names the pre-tokenizer {name!r}, which is not known here" if name else "names no pre-tokenizer"
        raise EngineError(
            f"the GGUF {what} (tokenizer.ggml.pre): use a newer GGUF of the model, or its safetensors as weights.source"
        )
    return _SPLITS[name]
