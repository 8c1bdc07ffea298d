"""OpenVINO: which downloaded files it loads as they are, and how its own files are made from a GGUF."""

from collections.abc import Sequence
from pathlib import Path

from models.errors import EngineError
from models.runtimes.gguf import comparison, float16, openvino_graph
from models.runtimes.gguf import decoder as gguf_decoder
from models.runtimes.gguf import text as gguf_text
from models.runtimes.gguf.decoder import Decoder
from models.weights import formats, gguf_format, openvino_format

PACKAGES = ("openvino_genai",)
CONVERTER = ("openvino-genai", "gguf")
EDITION = openvino_graph.EDITION
EXPORTER = {"optimum-intel": "2.2.0", "edition": "1"}
"""What makes its files from safetensors: versions of requirements/optimum.txt and the edition of scripts/conversion."""

GGUF_ARCHITECTURES = gguf_decoder.ARCHITECTURES


def reads(names: Sequence[str]) -> bool:
    """Whether the downloaded files are in OpenVINO's own format. If not, it loads the files made from them."""
    return openvino_format.MODEL in names and not formats.has_adapter(names)


def exports(names: Sequence[str]) -> bool:
    """Whether an exporter can make its files from the downloaded ones."""
    return any(name.endswith(".safetensors") for name in names)


def unread(source: Path) -> str:
    """The parts of a GGUF that `convert` cannot read; empty if it can convert the file."""
    return gguf_decoder.unread(gguf_format.read(source))


def convert(source: Path, folder: Path, dtype: str) -> None:
    """Make OpenVINO's own files from a GGUF, once. scripts/conversion makes those from safetensors.

    GenAI reads a Q4_1 GGUF wrongly (it rounds each group's minimum), so the weights are first written in float16. Then
    the graph that GenAI makes is rewritten, as models/runtimes/gguf/openvino_graph.py explains. The results of both
    graphs are compared with the results of the source.

    Raises:
        EngineError: GenAI cannot read a part of the file, the results differ, or `dtype` is int4 and the file has
            nothing in 4 bits.
    """
    if found := unread(source):
        raise EngineError(
            f"{source.name} has {found}, which OpenVINO GenAI does not read: make weights and make image convert it, "
            "which a container cannot; or use the engine transformers"
        )
    gguf = gguf_format.read(source)
    decoder = Decoder(gguf)
    float16.write(decoder, folder / "model-f16.gguf")

    import openvino
    import openvino_genai

    made = folder / "openvino_model.xml"
    openvino_genai.LLMPipeline(str(folder / "model-f16.gguf"), "CPU", enable_save_ov_model=True)
    (folder / "model-f16.gguf").unlink()
    prompt = comparison.prompt([decoder.first_token], decoder.vocabulary, gguf.own("context_length", 2048))
    expected = decoder.logits(prompt)
    model = openvino.Core().read_model(made)
    openvino_graph.set_frequencies(model, decoder)
    comparison.check(openvino_graph.logits(model, prompt), expected, comparison.READ, source)
    openvino_graph.rewrite(made, decoder, dtype)
    model = openvino.Core().read_model(made)
    comparison.check(openvino_graph.logits(model, prompt), expected, comparison.ROUNDED, source)
    for unused in folder.glob("openvino_*tokenizer.*"):  # the task reads tokenizer.json instead
        unused.unlink()
    gguf_text.write(gguf, folder)
