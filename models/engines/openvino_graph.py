"""What is changed in the graph that GenAI makes of a GGUF, so that OpenVINO's CPU plugin runs it well.

https://docs.openvino.ai/2026/openvino-workflow/model-preparation/conversion-parameters.html (compress_to_fp16)
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

# Raised when `rewrite` makes another graph: files of another edition are made again.
EDITION = "2"


def rewrite(path: Path, source: Path) -> None:
    """Rewrite the model at `path` (an .xml with its .bin beside it), made of the GGUF `source`; it computes the same.

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

    sharing = defaultdict(list)  # the matrix products with constant weights, by what they multiply
    for operation in model.get_ordered_ops():
        if operation.get_type_name() == "MatMul" and operation.input_value(1).get_node().get_type_name() == "Constant":
            source = operation.input_value(0)
            sharing[source.get_node().get_friendly_name(), source.get_index()].append(operation)
    for products in sharing.values():
        if len(products) != 3:  # two are the gate and the other half of the feed-forward: the plugin joins those
            continue
        weights = [product.input_value(1).get_node().data for product in products]
        joined = operations.matmul(
            products[0].input_value(0), operations.constant(numpy.concatenate(weights)), False, True
        )
        sizes = numpy.array([len(weight) for weight in weights], dtype=numpy.int32)
        split = operations.variadic_split(joined, operations.constant(numpy.int32(-1)), operations.constant(sizes))
        for product, part in zip(products, split.outputs(), strict=True):
            product.output(0).replace(part)
    model.validate_nodes_and_infer_types()


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
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(source).tensors}
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
