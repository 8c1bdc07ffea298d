"""Rewrites the graph that GenAI makes from a GGUF, so that OpenVINO's CPU plugin runs it fast and accurately.

https://docs.openvino.ai/2026/openvino-workflow/model-preparation/conversion-parameters.html (compress_to_fp16)
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from models.errors import EngineError
from models.runtimes.gguf import four_bits
from models.runtimes.gguf.decoder import Decoder

# Increased when `rewrite` makes another graph: files of another edition are made again.
EDITION = "7"

_NEVER = "dynamic:f16"  # for any type; the plugin reads float16 here as every 16-bit type


def rewrite(path: Path, decoder: Decoder, dtype: str) -> None:
    """Rewrite the model at `path` (an .xml with a .bin beside it), which GenAI made from the GGUF of `decoder`.

    `dtype`: float16, or int4 to keep the matrices in 4 bits that the GGUF has so; the others are in float16.

    It computes the same except for rounding; test_quality.py of the engines' tests limits how much that changes.

    In GenAI's file, float16 weights are converted to float32, which the plugin computes once and keeps: every weight is
    then in memory in float32 besides the packed copy that is used. Weights that `save_model` compresses are marked as
    such, and stay in the file's own pages.

    Raises:
        EngineError: `dtype` is int4, and the GGUF has no matrix in 4 bits.
    """
    import openvino
    from openvino._offline_transformations import apply_moc_transformations  # private: docs/upgrading.md

    core = openvino.Core()
    model = core.read_model(path)
    apply_moc_transformations(model, cf=True)  # otherwise done at each load, constant folding included
    _join_projections(model)
    compressed, final = path.with_stem("compressed"), path.with_stem("final")
    openvino.save_model(model, compressed, compress_to_fp16=True)
    model = core.read_model(compressed)
    set_frequencies(model, decoder)
    _replace_last_matrix(model)
    if dtype == "int4":
        _keep_four_bits(model, decoder)
    openvino.save_model(model, final, compress_to_fp16=False)
    _keep_in_float32(final, _residual_stream(model))
    for suffix in (".xml", ".bin"):
        final.with_suffix(suffix).replace(path.with_suffix(suffix))
        compressed.with_suffix(suffix).unlink()


def set_frequencies(model: Any, decoder: Decoder) -> None:
    """Give the graph the file's own rotary frequencies, exactly.

    GenAI ignores their factors and scaling, and saves them in float16: an angle at position 8,000 is then
    wrong by up to a turn.

    Raises:
        EngineError: the graph has no such constant.
    """
    import numpy
    from openvino import opset13 as operations

    wanted = decoder.plain_frequencies
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Constant" or list(node.get_output_shape(0)) != [1, wanted.size, 1]:
            continue
        if not numpy.allclose(node.data.ravel(), wanted, rtol=0.01, atol=1e-7):
            continue
        readers = list(node.output(0).get_target_inputs())
        if len(readers) == 1 and readers[0].get_node().get_type_name() == "Convert":
            readers = list(readers[0].get_node().output(0).get_target_inputs())
        exact = operations.constant(decoder.frequencies.reshape(1, -1, 1))
        for reader in readers:
            reader.replace_source_output(exact.output(0))
        return
    raise EngineError("GenAI's graph has no rotary frequencies where they are known to be: use the engine transformers")


def logits(model: Any, token_ids: list[int]) -> Any:
    """The logits after each token, computed in float32: float32[tokens, vocabulary]."""
    return computing(model, {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0})(token_ids)


def computing(model: Any, properties: dict[str, Any]) -> Callable[[list[int]], Any]:
    """A function that computes the logits after each token of a text, float32[tokens, vocabulary].

    `model`: a graph, or its path; `properties`: of the plugin. Not safe to use from several threads.
    """
    import openvino

    compiled = openvino.Core().compile_model(model, "CPU", properties)
    request = compiled.create_infer_request()

    def compute(token_ids: list[int]) -> Any:
        request.reset_state()
        return request.infer(_inputs(compiled, token_ids))["logits"][0]

    return compute


def _inputs(model: Any, token_ids: list[int]) -> dict[str, Any]:
    """A prompt as the inputs that a model has."""
    import numpy

    inputs = {
        "input_ids": numpy.array([token_ids]),
        "attention_mask": numpy.ones((1, len(token_ids)), dtype=numpy.int64),
        "position_ids": numpy.arange(len(token_ids))[None],
        "beam_idx": numpy.zeros(1, dtype=numpy.int32),
    }
    names = [each.get_any_name() for each in model.inputs]
    return {name: inputs[name] for name in names}


def _join_projections(model: Any) -> None:
    """Replace each layer's projections to query, key and value by one matrix product, which is split afterwards.

    One product of [tokens, hidden] with [query + key + value, hidden] reads memory faster than three small ones.
    """
    import numpy
    from openvino import opset13 as operations

    sharing = defaultdict(list)
    for product in _products(model):
        multiplied = product.input_value(0)
        sharing[multiplied.get_node().get_friendly_name(), multiplied.get_index()].append(product)
    for products in (sharers for sharers in sharing.values() if len(sharers) == 3):
        weights = [_constant(product.input_value(1)).data for product in products]
        joined = operations.matmul(
            products[0].input_value(0), operations.constant(numpy.concatenate(weights)), False, True
        )
        sizes = numpy.array([len(weight) for weight in weights], dtype=numpy.int32)
        split = operations.variadic_split(joined, operations.constant(numpy.int32(-1)), operations.constant(sizes))
        for product, part in zip(products, split.outputs(), strict=True):
            product.output(0).replace(part)
    model.validate_nodes_and_infer_types()


def _products(model: Any) -> list[Any]:
    """The matrix products whose second factor is a constant."""
    operations = model.get_ordered_ops()
    return [one for one in operations if one.get_type_name() == "MatMul" and _constant(one.input_value(1)) is not None]


def _constant(output: Any) -> Any:
    """The constant that an output is or is converted from; None if there is none."""
    node = output.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None


def _replace_last_matrix(model: Any) -> None:
    """Give the last matrix, which may also be the embedding, the type bfloat16.

    When the plugin computes in bfloat16, it rounds the result of any other compressed type to it. Of 49,152 logits,
    the largest two would then often be equal, and the wrong one chosen. The result of a bfloat16 matrix is float32.
    """
    import openvino
    from openvino import opset13 as operations

    weights = model.output("logits").get_node().input_value(0).get_node().input_value(1)
    values = _constant(weights).data.astype("float32")
    replacement = operations.convert(operations.constant(values, dtype=openvino.Type.bf16), "f32")
    for user in weights.get_target_inputs():
        user.replace_source_output(replacement.output(0))
    model.validate_nodes_and_infer_types()


def _keep_four_bits(model: Any, decoder: Decoder) -> None:
    """Replace each of the layers' matrices that has 4 bits in the GGUF by these."""
    import openvino

    matrices = [product.input_value(1) for product in _products(model)]
    found = [(matrix.get_node(), _constant(matrix)) for matrix in matrices]
    layers = [(node, held.data) for node, held in found if held.get_element_type() == openvino.Type.f16]
    kept = [(node, made) for node, values in layers if (made := four_bits.expanded(values)) is not None]
    if not kept:
        raise EngineError(
            f"{decoder.gguf.path.name} has no matrix in 4 bits: leave out dtype: int4, or take another file"
        )
    for node, made in kept:
        node.output(0).replace(made.output(0))
    model.validate_nodes_and_infer_types()
    print(f"{len(kept)} of {len(layers)} matrices stay in 4 bits, the others are in float16", file=sys.stderr)


def _residual_stream(model: Any) -> Set[str]:
    """The names of the operations of the residual stream, to which each layer adds: the embedding and the additions."""
    names = set()
    for operation in model.get_ordered_ops():
        kind, shape = operation.get_type_name(), operation.get_output_partial_shape(0)
        adds = kind == "Add" and not any(_constant(value) for value in operation.input_values())
        if (adds or kind == "Gather") and shape.rank == 3 and shape[2].is_static:
            names.add(operation.get_friendly_name())
    return names


def _keep_in_float32(path: Path, names: Set[str]) -> None:
    """Mark operations of a saved model to be computed always in float32.

    The residual stream has few large values, and every layer adds small ones: in bfloat16 each addition rounds them.
    OpenVINO can set this mark only in C++ (ov::disable_conversion), so it is written into the file.
    """
    document = ElementTree.parse(path)
    for layer in document.iterfind("layers/layer"):
        if layer.get("name") in names:
            notes = layer.find("rt_info")
            if notes is None:
                notes = ElementTree.Element("rt_info")
                layer.insert(0 if layer.find("data") is None else 1, notes)
            ElementTree.SubElement(notes, "attribute", name="DisablePrecisionConversion", version="0", value=_NEVER)
    document.write(path, encoding="utf-8", xml_declaration=True)
