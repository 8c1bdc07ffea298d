"""Small, randomly initialised encoders of real architectures, saved like Hub repositories."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

_SENTENCES = ("the sea is salty", "rivers carry salt", "a cat sleeps", "海は塩辛い", "川が塩を運ぶ", "猫が眠る")
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def bert(folder: Path, **config: Any) -> Path:
    """BERT with a WordPiece tokenizer; `config`: with `id2label` it is a classifier."""
    letters = sorted(set("".join(_SENTENCES)) - {" "})
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *("##" + letter for letter in letters)]
    tokenizer = Tokenizer(models.WordPiece({token: number for number, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    made = transformers.BertConfig(
        vocab_size=len(tokens), max_position_embeddings=64, pad_token_id=0, **_SIZES, **config
    )
    kind = transformers.BertForSequenceClassification if "id2label" in config else transformers.BertModel
    return _save(folder, kind, made, tokenizer)


def multilingual(folder: Path, **config: Any) -> Path:
    """BERT with XLM-RoBERTa's kind of tokenizer, as multilingual MiniLMs are: cased, and padded with another id."""
    tokenizer, count = _unigram()
    made = transformers.BertConfig(vocab_size=count, max_position_embeddings=64, pad_token_id=0, **_SIZES, **config)
    _save(folder, transformers.BertModel, made, tokenizer)
    begin, pad, end, unknown = _SPECIAL
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "cls_token": begin, "sep_token": end, "model_max_length": 512}
    said |= {"pad_token": pad, "unk_token": unknown}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder


def xlm_roberta(folder: Path, **config: Any) -> Path:
    """XLM-RoBERTa with a sentencepiece (Unigram) tokenizer that knows some Japanese."""
    tokenizer, count = _unigram()
    made = transformers.XLMRobertaConfig(
        vocab_size=count,
        max_position_embeddings=66,
        type_vocab_size=1,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        **_SIZES,
        **config,
    )
    kind = transformers.XLMRobertaForSequenceClassification if "id2label" in config else transformers.XLMRobertaModel
    return _save(folder, kind, made, tokenizer)


def _unigram() -> tuple[Tokenizer, int]:
    """The tokenizer, and how many tokens it has."""
    pieces = sorted({"▁", "S", *"".join(_SENTENCES).replace(" ", "")})
    vocabulary = [(token, 0.0) for token in _SPECIAL] + [(piece, -2.0) for piece in pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)]
    )
    return tokenizer, len(vocabulary)


def sentence_transformer(folder: Path, pooling: str, *others: str) -> None:
    """Add the files of sentence-transformers to a model; `pooling`: cls, mean_tokens, ..."""
    kinds = ["Transformer", "Pooling", *others]
    modules = [
        {
            "idx": number,
            "name": str(number),
            "path": f"{number}_{kind}" if number else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for number, kind in enumerate(kinds)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    settings = {"word_embedding_dimension": _SIZES["hidden_size"], f"pooling_mode_{pooling}": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings))


def _save(folder: Path, kind: Any, config: Any, tokenizer: Tokenizer) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model = kind(config)
    with torch.no_grad():
        for weight in model.parameters():  # larger than at the start of a training, so that texts differ
            weight.copy_((weight + torch.randn_like(weight) * 0.1).half().float())
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 512}))
    return folder
