"""Writes the text files of a GGUF as in a Hub repository: tokenizer, chat templates, end tokens, sampling.

A GGUF has all of it in its metadata: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer. Where that
description is silent, llama.cpp decides: https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.errors import EngineError
from models.runtimes.gguf.splits import Split, split_of
from models.weights.gguf_format import Gguf

_CONTROL, _USER_DEFINED, _BYTE = 3, 4, 6  # tokenizer.ggml.token_type
_SPACE = "▁"
_SAMPLING = {"temp": "temperature", "penalty_repeat": "repetition_penalty"}


def write(gguf: Gguf, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and generation_config.json from the metadata of a GGUF.

    Raises:
        EngineError: the file has no tokenizer, or one that is not supported.
    """
    metadata = _Metadata(gguf)
    tokenizer = _TOKENIZERS.get(metadata.kind, _unknown)(metadata)
    _add_special_tokens(tokenizer, metadata)
    tokenizer.save(str(folder / "tokenizer.json"))
    _save(folder / "tokenizer_config.json", _tokenizer_config(metadata))
    _save(folder / "generation_config.json", _generation_config(metadata))


class _Metadata:
    """The part of a GGUF's metadata that is about text. `tokens`: the texts by id, without duplicates."""

    def __init__(self, gguf: Gguf) -> None:
        self._gguf, self.get = gguf, gguf.get
        self.architecture = gguf.architecture
        self.kind: str = self.get("tokenizer.ggml.model", "")
        self.types: list[int] = self.get("tokenizer.ggml.token_type", [])
        self.scores: list[float] = self.get("tokenizer.ggml.scores", [])
        self.tokens = _distinct(self.get("tokenizer.ggml.tokens", []))

    def named(self, prefix: str) -> dict[str, Any]:
        """The values whose keys begin with `prefix`, by the rest of the key."""
        return {key[len(prefix) :]: self.get(key) for key in self._gguf.values if key.startswith(prefix)}

    def token_id(self, name: str) -> int | None:
        """The id of a special token: bos, eos, eot and others; None if the file names none, or one that it lacks."""
        token_id = self.get(f"tokenizer.ggml.{name}_token_id")
        return token_id if token_id is not None and 0 <= token_id < len(self.tokens) else None

    def token_ids(self, *names: str) -> set[int]:
        """The ids of these special tokens, as far as the file has them."""
        return {token_id for name in names if (token_id := self.token_id(name)) is not None}

    def ids_of(self, kind: int) -> list[int]:
        return [token_id for token_id, of_token in enumerate(self.types) if of_token == kind]

    def adds_begin(self) -> bool:
        by_kind = {"llama": True, "bert": True, "gpt2": self.kind == "gpt2" and self.split().adds_begin}
        return bool(self.get("tokenizer.ggml.add_bos_token", by_kind.get(self.kind, False)))

    def split(self) -> Split:
        return split_of(self.get("tokenizer.ggml.pre"))


def _byte_level(metadata: _Metadata) -> Any:
    """GPT-2's tokenizer: each byte is written as a visible character, and bytes are merged within words."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    alphabet = set(pre_tokenizers.ByteLevel.alphabet())
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str
    whole = {*metadata.ids_of(_CONTROL), *metadata.ids_of(_USER_DEFINED)}
    vocabulary: dict[str, int] = {}
    for token_id, token in enumerate(metadata.tokens):
        is_spelled = token_id in whole or alphabet.issuperset(token)
        vocabulary[token if is_spelled else spell(token)[0][0]] = token_id
    merges = _pairs(metadata, vocabulary)
    split = metadata.split()
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=split.takes_whole_words))
    if split.is_composed:
        tokenizer.normalizer = normalizers.NFC()
    cuts = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in split.patterns]
    by_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*cuts, by_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece(metadata: _Metadata) -> Any:
    """Sentencepiece's BPE: characters, with ▁ for a space, and byte tokens for unknown characters."""
    from tokenizers import Tokenizer, decoders, models, normalizers

    is_gemma = metadata.architecture.startswith("gemma")
    tokens = [_SPACE * len(token) if token.strip(" ") == "" else token for token in metadata.tokens]
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    unknown = metadata.token_id("unknown")
    tokenizer = Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=_merges(metadata, tokens, vocabulary, is_gemma),
            unk_token=None if unknown is None else tokens[unknown],
            fuse_unk=True,
            byte_fallback=bool(metadata.ids_of(_BYTE)),
        )
    )
    has_prefix = metadata.get("tokenizer.ggml.add_space_prefix", not is_gemma)
    prefix = [normalizers.Prepend(_SPACE)] if has_prefix else []
    tokenizer.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", _SPACE)])
    strip = [decoders.Strip(" ", 1, 0)] if has_prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return tokenizer


def _merges(
    metadata: _Metadata, tokens: list[str], vocabulary: dict[str, int], is_gemma: bool
) -> list[tuple[str, str]]:
    """The file's merges, or those that its scores imply: every pair that makes a token, the best token first.

    Gemma's scores are not in the order of its merges, but its tokens are.
    """
    if merges := _pairs(metadata, vocabulary):
        return merges
    ranks = range(len(tokens)) if is_gemma else [-score for score in metadata.scores]
    pairs = [
        (ranks[token_id], vocabulary[left], vocabulary[right], left, right)
        for token_id, token in enumerate(tokens)
        for at in range(1, len(token))
        if (left := token[:at]) in vocabulary and (right := token[at:]) in vocabulary
    ]
    return [(left, right) for *_, left, right in sorted(pairs)]


def _unigram(metadata: _Metadata) -> Any:
    """Sentencepiece's unigram model: the most likely split of a text into tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    pieces = list(zip(metadata.tokens, metadata.scores, strict=True))
    tokenizer = Tokenizer(models.Unigram(pieces, metadata.token_id("unknown"), bool(metadata.ids_of(_BYTE))))
    steps: list[Any] = []
    if charsmap := metadata.get("tokenizer.ggml.precompiled_charsmap"):
        steps.append(normalizers.Precompiled(bytes(value % 256 for value in charsmap)))
    if metadata.get("tokenizer.ggml.remove_extra_whitespaces", True):
        steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    tokenizer.normalizer = normalizers.Sequence(steps)
    scheme = "always" if metadata.get("tokenizer.ggml.add_space_prefix", True) else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
    return tokenizer


def _wordpiece(metadata: _Metadata) -> Any:
    """BERT's WordPiece. A GGUF writes ▁ before tokens that begin a word; BERT writes ## before those that do not."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    special = set(metadata.ids_of(_CONTROL))
    unknown = metadata.token_id("unknown")
    vocabulary: dict[str, int] = {}
    for token_id, token in enumerate(metadata.tokens):
        if token_id in special or token_id == unknown:
            vocabulary[token] = token_id
        else:
            vocabulary[token[1:] if token.startswith(_SPACE) else "##" + token] = token_id
    tokenizer = Tokenizer(
        models.WordPiece(vocabulary, unk_token="[UNK]" if unknown is None else metadata.tokens[unknown])
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    return tokenizer


def _unknown(metadata: _Metadata) -> Any:
    raise EngineError(
        f"the GGUF has a tokenizer of the kind {metadata.kind!r}, and {', '.join(_TOKENIZERS)} are known here "
        "(tokenizer.ggml.model): use the model's safetensors as weights.source"
    )


_TOKENIZERS = {"gpt2": _byte_level, "llama": _sentencepiece, "t5": _unigram, "bert": _wordpiece}


def _add_special_tokens(tokenizer: Any, metadata: _Metadata) -> None:
    """Add the tokens that are never split: control tokens, which are not text, and user-defined tokens."""
    from tokenizers import AddedToken

    control = {*metadata.ids_of(_CONTROL), *metadata.token_ids("bos", "eos", "eot", "eom", "unknown")}
    texts = {token_id: tokenizer.id_to_token(token_id) for token_id in [*control, *metadata.ids_of(_USER_DEFINED)]}
    tokenizer.add_special_tokens([AddedToken(texts[token_id], normalized=False) for token_id in sorted(control)])
    others = [token_id for token_id in texts if token_id not in control]
    tokenizer.add_tokens([AddedToken(texts[token_id], normalized=False) for token_id in others])


def _tokenizer_config(metadata: _Metadata) -> dict[str, Any]:
    named = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    ids = {name: metadata.token_id(key) for name, key in named.items()}
    config: dict[str, Any] = {name: metadata.tokens[token_id] for name, token_id in ids.items() if token_id is not None}
    config |= {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": metadata.adds_begin()}
    if length := metadata.get(f"{metadata.architecture}.context_length"):
        config["model_max_length"] = int(length)
    templates = {"default": metadata.get("tokenizer.chat_template")} | metadata.named("tokenizer.chat_template.")
    templates = {name: template for name, template in templates.items() if template}
    if list(templates) == ["default"]:
        config["chat_template"] = templates["default"]
    elif templates:
        config["chat_template"] = [{"name": name, "template": template} for name, template in templates.items()]
    return config


def _generation_config(metadata: _Metadata) -> dict[str, Any]:
    ends = metadata.token_ids("eos", "eot", "eom")
    sampling = metadata.named("general.sampling.")
    config = {_SAMPLING.get(name, name): value for name, value in sampling.items()}
    return config | {"bos_token_id": metadata.token_id("bos"), "eos_token_id": sorted(ends) or None}


def _pairs(metadata: _Metadata, vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """The file's merges, without those of tokens whose text is damaged, as no text is encoded to such a token."""
    split = [merge.partition(" ") for merge in metadata.get("tokenizer.ggml.merges", [])]
    return [(left, right) for left, _, right in split if {left, right, left + right} <= vocabulary.keys()]


def _distinct(tokens: list[str]) -> list[str]:
    """The tokens' texts. An empty or repeated one gets a unique name, as no text is encoded to such a token."""
    tokens = list(tokens)
    seen: set[str] = set()
    for token_id, token in enumerate(tokens):
        if not token or token in seen:
            tokens[token_id] = f"[unused token {token_id}]"
        seen.add(tokens[token_id])
    return tokens


def _save(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
