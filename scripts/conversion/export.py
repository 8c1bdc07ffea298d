""".venv-optimum/bin/python -m scripts.conversion.export KIND SOURCE FOLDER FORMAT

Runs in the converter's own environment: converts a folder of safetensors (merging an adapter in it first), or a GGUF,
to OpenVINO's model with weights in FORMAT (int8, int4, float16, or float32 for an encoder), copies the tokenizer and
configuration, and writes a reference to compare the converted model with: what transformers computes for a text in
float32. KIND: decoder (a language model) or encoder. https://huggingface.co/docs/optimum-intel/openvino/export
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.runtimes import checkpoint
from models.weights import formats
from scripts.conversion import encoder, environment, merging
from scripts.conversion.comparison import REFERENCE

_TOKENS = 200
_ROUNDED = "_compressed"  # the suffix that saving gives to the names of rounded constants
_TEXT = (
    "The sea is salty because rivers carry dissolved minerals from the land into it, and have done so for millions of "
    "years. When water evaporates, it leaves the salt behind; rain falls on the hills, and the rivers bring more. "
    "About three and a half percent of the weight of sea water is salt. Most of it is sodium chloride, which people "
    "have taken from the sea since ancient times: they let the water dry in shallow ponds, and gathered what was left. "
    "In 1770 a ship's cook paid 12 shillings for a barrel. Le sel de la mer; das Salz des Meeres; 海の塩。"
)


def main(argv: list[str]) -> int:
    """Convert; 0 if `FOLDER` has all files, 1 with a reason on standard error."""
    return environment.main(convert, argv, "optimum-intel cannot convert {source} ({reason})")


def convert(kind: str, source: Path, folder: Path, weight_format: str) -> None:
    """Make the files.

    Raises:
        TemplateError: the source is not a complete model.
    """
    if source.suffix == ".gguf" or (source / formats.ADAPTER).is_dir():
        with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
            if source.suffix == ".gguf":
                _read_gguf(source, Path(name))
            else:
                merging.merge(kind, source, Path(name), "float32")
            convert(kind, Path(name), folder, weight_format)
        return
    merging.copy_other_files(source, folder)  # before export, which rewrites some of them
    tokenizer = _tokenizer(source, folder)
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if kind == "encoder":
        encoder.export(source, folder)
    else:
        _export(source, folder, tokenizer)
    _round(folder / "openvino_model.xml", weight_format)
    for path, content in kept.items():
        path.write_bytes(content)


def _export(source: Path, folder: Path, tokenizer: Any) -> None:
    """Convert a language model to OpenVINO's model in float32, and write the reference beside it."""
    import torch
    from optimum.exporters.openvino.convert import export_from_model
    from optimum.intel import OVConfig

    model = checkpoint.load(source, dtype=torch.float32).eval()
    _write_reference(model, tokenizer, folder / REFERENCE)
    export_from_model(model, folder, task="text-generation-with-past", ov_config=OVConfig(dtype="fp32"))


def _read_gguf(source: Path, folder: Path) -> None:
    """Convert a GGUF to a folder of safetensors in float32, with which the result is compared."""
    from models.runtimes.gguf import text, to_safetensors
    from models.weights import gguf_format

    gguf = gguf_format.read(source)
    to_safetensors.write(gguf, folder, "float32")
    text.write(gguf, folder)


def _tokenizer(source: Path, folder: Path) -> Any:
    """The model's tokenizer; if its folder has only that of sentencepiece, tokenizer.json is made from it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source)
    if not (source / "tokenizer.json").is_file():
        tokenizer.save_pretrained(folder)
    return tokenizer


def _write_reference(model: Any, tokenizer: Any, path: Path) -> None:
    """Write `token_ids` of the text, and `log_probabilities` of each token but the first, given those before it."""
    import torch

    token_ids = tokenizer.encode(_TEXT, add_special_tokens=True)
    context = getattr(model.config, "max_position_embeddings", _TOKENS)
    token_ids = token_ids[: min(_TOKENS, context - 1)]
    with torch.no_grad():
        logits = model(torch.tensor([token_ids])).logits[0, :-1].log_softmax(-1)
    chosen = logits.gather(1, torch.tensor(token_ids[1:])[:, None])[:, 0]
    path.write_text(json.dumps({"token_ids": token_ids, "log_probabilities": chosen.tolist()}), encoding="utf-8")


def _round(path: Path, weight_format: str) -> None:
    """Round the weights of the model at `path`: int8 by row; int4 in groups of 64, the first and last matrix in int8.

    https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide/weight-compression.html
    """
    if weight_format == "float32":  # as the export wrote it
        return
    import nncf
    import openvino

    model = openvino.Core().read_model(path)
    if weight_format == "float16":
        model = _in_float16(model, path.with_stem("halved"))
    elif weight_format == "int8":
        model = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM)
    else:
        fitting = nncf.AdvancedCompressionParameters(group_size_fallback_mode=nncf.GroupSizeFallbackMode.ADJUST)
        model = nncf.compress_weights(
            model, mode=nncf.CompressWeightsMode.INT4_ASYM, group_size=64, advanced_parameters=fitting
        )
    rounded = path.with_stem("rounded")
    openvino.save_model(model, rounded, compress_to_fp16=False)
    del model  # it still reads the files that are replaced below
    for suffix in (".xml", ".bin"):
        rounded.with_suffix(suffix).replace(path.with_suffix(suffix))
        path.with_stem("halved").with_suffix(suffix).unlink(missing_ok=True)


def _in_float16(model: Any, halved: Path) -> Any:
    """The model with its matrices in float16; written to `halved`, because only saving rounds them.

    Saving also rounds the frequencies of rotary embeddings, which makes distant positions wrong. So constants that are
    not matrices are restored.
    """
    import openvino
    from openvino import opset13 as operations

    openvino.save_model(model, halved, compress_to_fp16=True)
    exact = {node.get_friendly_name(): node for node in model.get_ordered_ops() if node.get_type_name() == "Constant"}
    model = openvino.Core().read_model(halved)
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Constant" or not node.get_friendly_name().endswith(_ROUNDED):
            continue
        before = exact[node.get_friendly_name().removesuffix(_ROUNDED)]
        if sum(size > 1 for size in before.get_output_shape(0)) < 2:
            (conversion,) = node.output(0).get_target_inputs()
            conversion.get_node().output(0).replace(operations.constant(before.data.copy()).output(0))
    return model


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
