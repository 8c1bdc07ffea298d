"""OpenVINO's own files: which downloaded ones it loads as they are, and how they are made of a GGUF."""

from collections.abc import Sequence
from pathlib import Path

from models.errors import EngineError
from models.runtimes.gguf import comparison, float16, openvino_graph
from models.runtimes.gguf import decoder as gguf_decoder
from models.runtimes.gguf import text as gguf_text
from models.runtimes.gguf.decoder import Decoder
from models.weights import gguf_format, openvino_format

PACKAGES = ("openvino_genai",)
CONVERTER = ("openvino-genai", "gguf")
EDITION = openvino_graph.EDITION
EXPORTER = {"optimum-intel": "2.2.0", "edition": "1"}
"""What makes its files of safetensors: requirements/optimum.txt, and the edition of scripts/conversion."""


GGUF_ARCHITECTURES = gguf_decoder.ARCHITECTURES


def reads(names: Sequence[str]) -> bool:
    """Whether the downloaded files are in OpenVINO's own format; otherwise it loads those that were made of them."""
    return openvino_format.MODEL in names


def unread(source: Path) -> str:
    """What of a GGUF `convert` does not read; empty where it makes its files of it."""
    return gguf_decoder.unread(gguf_format.read(source))


def convert(source: Path, folder: Path, dtype: str) -> None:
    """Make OpenVINO's own files from a GGUF, once; those of safetensors are made by scripts/conversion.

    GenAI reads a Q4_1 GGUF wrongly (it rounds each group's minimum), so the weights are written out in float16 first.
    The graph that it makes of them is then rewritten, as models/runtimes/gguf/openvino_graph.py says. What both compute
    is compared with what the source computes.

    Raises:
        EngineError: the file has what GenAI does not read, or the results differ.
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
    pipeline = openvino_genai.LLMPipeline(str(folder / "model-f16.gguf"), "CPU", enable_save_ov_model=True)
    sample = openvino_graph.text_of_its_own(pipeline, decoder.first_token)
    (folder / "model-f16.gguf").unlink()
    prompt = comparison.prompt(sample, decoder.vocabulary, gguf.own("context_length", 2048))
    expected = decoder.logits(prompt)
    model = openvino.Core().read_model(made)
    openvino_graph.set_frequencies(model, decoder)
    comparison.check(openvino_graph.logits(model, prompt), expected, comparison.READ, source)
    openvino_graph.rewrite(made, decoder, sample)
    model = openvino.Core().read_model(made)
    comparison.check(openvino_graph.logits(model, prompt), expected, comparison.ROUNDED, source)
    for unused in folder.glob("openvino_*tokenizer.*"):  # the text is the task's: tokenizer.json
        unused.unlink()
    gguf_text.write(gguf, folder)
