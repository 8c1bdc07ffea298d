"""Small tokenizers of the four kinds of language models, trained on a few sentences, the same at every run.

"byte-level": BPE over bytes (GPT-2, Llama 3, Qwen); "byte-fallback": sentencepiece's BPE over characters,
with byte tokens for unknown characters (Llama 2, Mistral, Phi-3, Gemma); "unigram": sentencepiece's other
kind (XGLM); "wordpiece": words and ##endings (BERT). Each has <unk>, <s>, </s>, which ends the text, and <|end|>, which
ends a turn.
"""

import json
import math
import re
from collections import Counter
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

KINDS = ("byte-level", "byte-fallback", "unigram", "wordpiece")
UNKNOWN, BEGIN, END, END_OF_TURN = SPECIAL = ("<unk>", "<s>", "</s>", "<|end|>")
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SENTENCES = (
    "The capital of France is Paris, and the sea is salty.",
    "Why is the sky blue? Because the air scatters the light of the sun.",
    "One, two, three, four, five; then six, seven, eight, nine and ten.",
    "She sells sea shells on the shore; the shells that she sells are sea shells.",
    "def answer(question):\n    return 42  # the café is naïve",
)
_SIZE = 400
_SPACE = "▁"


def build(kind: str) -> Tokenizer:
    """A tokenizer of one of KINDS, with at most 400 tokens."""
    return {
        "byte-level": _byte_level,
        "byte-fallback": _byte_fallback,
        "unigram": _unigram,
        "wordpiece": _wordpiece,
    }[kind]()


def save(kind: str, folder: Path, chat_template: str | None = CHAT_TEMPLATE) -> Tokenizer:
    """Write tokenizer.json and tokenizer_config.json, like a Hub repository."""
    tokenizer = build(kind)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": UNKNOWN,
        "bos_token": BEGIN,
        "eos_token": END,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
    }
    if chat_template is not None:
        config["chat_template"] = chat_template
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return tokenizer


def _byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=_SIZE, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(_SENTENCES, trainer)
    return tokenizer


def _byte_fallback() -> Tokenizer:
    """The tokens in sentencepiece's order: special ones, one for each byte, then merged ones, most frequent first."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=_SIZE - 260, show_progress=False)
    learner.train_from_iterator(_SENTENCES, trainer)
    pieces = sorted(learner.get_vocab(), key=learner.get_vocab().__getitem__)
    tokens = [UNKNOWN, BEGIN, END, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, END_OF_TURN]
    merges = [
        (piece[:at], piece[at:])
        for piece in pieces
        for at in range(1, len(piece))
        if piece[:at] in pieces and piece[at:] in pieces
    ]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token=UNKNOWN, fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _unigram() -> Tokenizer:
    """Every letter, word and beginning of a word, with its logarithmic frequency."""
    words = [_SPACE + word for text in _SENTENCES for word in text.split()]
    counts = Counter(character for word in words for character in word)
    counts.update(words)
    counts.update(word[:3] for word in words if len(word) > 3)
    pieces = sorted(counts.items(), key=lambda piece: (-piece[1], piece[0]))
    vocabulary = [(token, 0.0) for token in SPECIAL] + [(piece, math.log(count / 1000)) for piece, count in pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0))
    tokenizer.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _wordpiece() -> Tokenizer:
    """Every letter, both as beginning and as continuation of a word, and every word."""
    words = {word for text in _SENTENCES for word in re.findall(r"\w+|[^\w\s]", text.lower())}
    letters = sorted(set("".join(words)))
    tokens = dict.fromkeys([*SPECIAL, *letters, *("##" + letter for letter in letters), *sorted(words)])
    tokenizer = Tokenizer(models.WordPiece({token: number for number, token in enumerate(tokens)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer
