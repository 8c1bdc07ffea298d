"""What is changed in the graph that GenAI makes of a GGUF, so that OpenVINO's CPU plugin runs it well.

https://docs.openvino.ai/2026/openvino-workflow/model-preparation/conversion-parameters.html (compress_to_fp16)
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

# Raised when `rewrite` makes another graph: files of another edition are made again.
EDITION = "3"


def rewrite(path: Path, source: Path) -> None:
    """Rewrite the model at `path` (an .xml with its .bin beside it), made of the GGUF `source`.

    It computes the same but for rounding, which tests/models/engines/test_quality.py bounds.

    GenAI's file holds float16 weights behind plain conversions to float32, which the plugin computes once and keeps:
    every weight is held in float32 beside the packed copy that is used. Weights that `save_model` compresses are
    marked as such, and stay in the file's own pages.
    """
    import openvino
    from openvino._offline_transformations import apply_moc_transformations

    core = openvino.Core()
    model = core.read_model(path)
    apply_moc_transformations(model, cf=True)  # what loading would do each time, constant folding included
    _join_projections(model)
    compressed, final = path.with_stem("compressed"), path.with_stem("final")
    openvino.save_model(model, compressed, compress_to_fp16=True)
    model = core.read_model(compressed)
    _replace_last_matrix(model, source)
    _round_feed_forward(model, source)
    openvino.save_model(model, final, compress_to_fp16=False)
    for suffix in (".xml", ".bin"):
        final.with_suffix(suffix).replace(path.with_suffix(suffix))
        compressed.with_suffix(suffix).unlink()


def _join_projections(model: Any) -> None:
    """Each layer's projections to query, key and value become one matrix product, split afterwards.

    One product of [tokens, hidden] with [query + key + value, hidden] reads memory faster than three small ones.
    """
    import numpy
    from openvino import opset13 as operations

    for products in _products_of_one_input(model, 3):
        weights = [_weights(product).data for product in products]
        joined = operations.matmul(
            products[0].input_value(0), operations.constant(numpy.concatenate(weights)), False, True
        )
        sizes = numpy.array([len(weight) for weight in weights], dtype=numpy.int32)
        split = operations.variadic_split(joined, operations.constant(numpy.int32(-1)), operations.constant(sizes))
        for product, part in zip(products, split.outputs(), strict=True):
            product.output(0).replace(part)
    model.validate_nodes_and_infer_types()


def _round_feed_forward(model: Any, source: Path) -> None:
    """The two wider matrices of the first layers' feed-forward become int8, one float32 scale a row.

    They are half of a layer's weights. With DYNAMIC_QUANTIZATION_GROUP_SIZE the plugin multiplies them in int8, each
    token's input rounded with its own scale (its LLMMLP), and reads half the bytes. Next-token agreement with float32
    was seen to be 0.982 without, 0.973 with this in the first half of 30 layers, 0.951 with it in all. Only what the
    source has rounded to 8 bits or fewer is rounded, and only in widths that the plugin's int8 kernel takes.
    """
    import gguf
    import numpy
    from openvino import opset13 as operations

    floats = {gguf.GGMLQuantizationType[name] for name in ("F32", "F16", "BF16")}
    kinds = {
        tensor.tensor_type for name, tensor in _tensors(source).items() if ".ffn_" in name and tensor.data.ndim > 1
    }
    pairs = _products_of_one_input(model, 2)
    if kinds & floats or not pairs or _weights(pairs[0][0]).shape[1] % 64:
        return
    for product in [product for pair in pairs[: len(pairs) // 2] for product in pair]:
        weights = _weights(product).data.astype(numpy.float32)
        scales = numpy.maximum(numpy.abs(weights).max(axis=1, keepdims=True) / 127, numpy.finfo(numpy.float32).tiny)
        rounded = operations.constant(numpy.rint(weights / scales).astype(numpy.int8))
        scaled = operations.multiply(operations.convert(rounded, "f32"), operations.constant(scales))
        product.input(1).replace_source_output(scaled.output(0))
    model.validate_nodes_and_infer_types()


def _products_of_one_input(model: Any, count: int) -> list[list[Any]]:
    """The matrix products with constant weights of which `count` multiply the same, layer by layer.

    Three are a layer's query, key and value; two are the gate and the other half of its feed-forward.
    """
    sharing = defaultdict(list)
    for operation in model.get_ordered_ops():
        if operation.get_type_name() == "MatMul" and _weights(operation).get_type_name() == "Constant":
            multiplied = operation.input_value(0)
            sharing[multiplied.get_node().get_friendly_name(), multiplied.get_index()].append(operation)
    return [products for products in sharing.values() if len(products) == count]


def _weights(product: Any) -> Any:
    """What a matrix product multiplies with, before its conversion if it has one."""
    weights = product.input_value(1).get_node()
    return weights.input_value(0).get_node() if weights.get_type_name() == "Convert" else weights


def _tensors(source: Path) -> dict[str, Any]:
    """The tensors of a GGUF, by name."""
    import gguf

    return {tensor.name: tensor for tensor in gguf.GGUFReader(source).tensors}


def _replace_last_matrix(model: Any, source: Path) -> None:
    """The last matrix, which may also be the embedding, becomes the source's own 8 bits, or else bfloat16.

    It is a fifth of what a step of one stream reads. Where the weights' type is float16 and not the one it computes in
    (bfloat16), the plugin rounds the result to that: of 49,152 logits the largest two would often be equal, and the
    wrong one chosen. The weights are rounded either way.
    """
    import gguf
    import openvino
    from openvino import opset13 as operations

    product = model.output("logits").get_node().input_value(0).get_node()
    weights = product.input_value(1)
    tensors = _tensors(source)
    tensor = tensors.get("output.weight", tensors["token_embd.weight"])
    if tensor.tensor_type == gguf.GGMLQuantizationType.Q8_0:
        replacement = _from_q8_0(tensor.data, list(weights.get_shape()))
    else:
        rounded = weights.get_node().input_value(0).get_node().data.astype("float32")
        replacement = operations.convert(operations.constant(rounded, dtype=openvino.Type.bf16), "f32")
    for user in weights.get_target_inputs():
        user.replace_source_output(replacement.output(0))
    model.validate_nodes_and_infer_types()


def _from_q8_0(data: Any, shape: list[int]) -> Any:
    """A matrix of `shape` from GGUF's Q8_0 blocks, uint8[rows, bytes]: each a float16 scale and 32 int8.

    https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h (block_q8_0)
    """
    import numpy
    from openvino import opset13 as operations

    blocks = numpy.asarray(data).reshape(shape[0], shape[1] // 32, 2 + 32)
    scales, values = blocks[..., :2].copy().view(numpy.float16), blocks[..., 2:].copy().view(numpy.int8)
    scaled = operations.multiply(operations.convert(operations.constant(values), "f16"), operations.constant(scales))
    return operations.convert(operations.reshape(scaled, numpy.array(shape), False), "f32")
