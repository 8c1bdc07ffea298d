"""What is changed in the graph that GenAI makes of a GGUF, so that OpenVINO's CPU plugin runs it well.

https://docs.openvino.ai/2026/openvino-workflow/model-preparation/conversion-parameters.html (compress_to_fp16)
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from models.errors import EngineError
from models.runtimes.gguf.decoder import Decoder
from models.weights.gguf_format import Tensor

Tensors = Mapping[str, Tensor]
"""A GGUF's tensors, by name."""

# Raised when `rewrite` makes another graph: files of another edition are made again.
EDITION = "6"

_SAMPLE_TOKENS = 128


def rewrite(path: Path, decoder: Decoder, sample: list[int]) -> None:
    """Rewrite the model at `path` (an .xml with its .bin beside it), made of the GGUF that `decoder` describes.

    `sample` is a text of the model's own, as tokens: on it the size of its hidden values is measured.
    It computes the same but for rounding, which test_quality.py of the engines' tests bounds.

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
    set_frequencies(model, decoder)
    _replace_last_matrix(model, decoder.gguf.tensors)
    _round_feed_forward(model, decoder.gguf.tensors, sample)
    openvino.save_model(model, final, compress_to_fp16=False)
    for suffix in (".xml", ".bin"):
        final.with_suffix(suffix).replace(path.with_suffix(suffix))
        compressed.with_suffix(suffix).unlink()


def text_of_its_own(pipeline: Any, beginning: int) -> list[int]:
    """Tokens that a model writes after its first: its own language and manner, whichever model it is."""
    import numpy
    import openvino
    import openvino_genai

    config = openvino_genai.GenerationConfig(max_new_tokens=_SAMPLE_TOKENS, do_sample=True, ignore_eos=True, rng_seed=0)
    config.set_eos_token_id(beginning)  # the library wants one, though it is ignored
    written: list[int] = pipeline.generate(openvino.Tensor(numpy.array([[beginning]])), config).tokens[0]
    return [beginning, *written]


def set_frequencies(model: Any, decoder: Decoder) -> None:
    """Give the graph the file's own rotary frequencies, exactly.

    GenAI knows neither their factors nor their scaling, and saves them in float16: an angle at position 8,000 is then
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
    """What computes the logits after each token of a text, float32[tokens, vocabulary], with the plugin's properties.

    `model`: a graph, or the path of one. One thread at a time may call it.
    """
    import openvino

    compiled = openvino.Core().compile_model(model, "CPU", properties)
    request = compiled.create_infer_request()

    def compute(token_ids: list[int]) -> Any:
        request.reset_state()
        return request.infer(_inputs(compiled, token_ids))["logits"][0]

    return compute


def _inputs(model: Any, token_ids: list[int]) -> dict[str, Any]:
    """A prompt as those inputs that a model has."""
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
    """Each layer's projections to query, key and value become one matrix product, split afterwards.

    One product of [tokens, hidden] with [query + key + value, hidden] reads memory faster than three small ones.
    """
    import numpy
    from openvino import opset13 as operations

    for products in _products_of_one_input(model, 3):
        weights = [_constant(product.input_value(1)).data for product in products]
        joined = operations.matmul(
            products[0].input_value(0), operations.constant(numpy.concatenate(weights)), False, True
        )
        sizes = numpy.array([len(weight) for weight in weights], dtype=numpy.int32)
        split = operations.variadic_split(joined, operations.constant(numpy.int32(-1)), operations.constant(sizes))
        for product, part in zip(products, split.outputs(), strict=True):
            product.output(0).replace(part)
    model.validate_nodes_and_infer_types()


def _round_feed_forward(model: Any, tensors: Tensors, sample: list[int]) -> None:
    """The two wider matrices of the feed-forward, gate and up, become int8 with a float32 scale a row, where they fit.

    They are half of a layer's weights. With DYNAMIC_QUANTIZATION_GROUP_SIZE the plugin (its LLMMLP) multiplies them in
    int8, each token's input rounded with one scale, and reads half the bytes. A channel that is always large would
    leave the others few of a token's 255 steps: each channel is first divided by the square root of its usual size, in
    the norm before, and its weights are multiplied by that (SmoothQuant, https://arxiv.org/abs/2211.10438).

    Kullback-Leibler divergence from float32 on the text of test_quality.py, as simulated: 0.0078 if rounded as they
    are, 0.0012 smoothed, 0.0009 without the last layer, which stays; bfloat16 in transformers has 0.0010.
    """
    import numpy

    pairs = [pair for pair in _products_of_one_input(model, 2)[:-1] if _fits_int8(pair)]
    if not pairs or not _is_rounded(tensors):
        return
    for pair, sizes in zip(pairs, _channel_sizes(model, pairs, sample), strict=True):
        norm = _norm_weights(pair[0])
        divisors = numpy.sqrt(numpy.maximum(sizes, numpy.median(sizes) / 1000))
        norm.replace_source_output(_float32(_constant(norm.get_source_output()).data / divisors))
        for product in pair:
            weights = _constant(product.input_value(1)).data.astype(numpy.float32)
            product.input(1).replace_source_output(_int8_rows(weights * divisors))
    model.validate_nodes_and_infer_types()


def _is_rounded(tensors: Tensors) -> bool:
    """Whether a GGUF holds its feed-forward in 8 bits or fewer: only such weights are rounded again."""
    import gguf

    floats = {gguf.GGMLQuantizationType[name] for name in ("F32", "F16", "BF16")}
    matrices = [tensor for name, tensor in tensors.items() if ".ffn_" in name and len(tensor.shape) > 1]
    return bool(matrices) and not any(tensor.kind in floats for tensor in matrices)


def _fits_int8(pair: list[Any]) -> bool:
    """Whether nothing else uses their norm, so that it can be changed, and the plugin's int8 kernel takes the width."""
    hidden = pair[0].input_value(0)
    width = _constant(pair[0].input_value(1)).data.shape[1]
    return _norm_weights(pair[0]) is not None and len(hidden.get_target_inputs()) == 2 and width % 64 == 0


def _norm_weights(product: Any) -> Any:
    """The input by which the norm before a matrix product gets its constant weights; None if there is no such norm."""
    norm = product.input_value(0).get_node()
    if norm.get_type_name() != "Multiply":
        return None
    return next((each for each in norm.inputs() if _constant(each.get_source_output()) is not None), None)


def _channel_sizes(model: Any, pairs: list[list[Any]], sample: list[int]) -> list[Any]:
    """Root mean square of each channel that each pair multiplies, on `sample`: float32[width] each.

    The first token is left out: models give it huge values of its own (https://arxiv.org/abs/2309.17453).
    """
    import numpy
    import openvino

    watched = model.clone()
    outputs = [gate.input_value(0) for gate, _ in pairs]
    watched.add_outputs([(output.get_node().get_friendly_name(), output.get_index()) for output in outputs])
    results = openvino.Core().compile_model(watched, "CPU")(_inputs(watched, sample))
    return [
        numpy.sqrt(numpy.square(results[index][0, 1:]).mean(axis=0))
        for index in range(len(model.outputs), len(watched.outputs))
    ]


def _int8_rows(weights: Any) -> Any:
    """A matrix in int8, each row with a float32 scale of its own."""
    import numpy
    from openvino import opset13 as operations

    scales = numpy.maximum(numpy.abs(weights).max(axis=1, keepdims=True) / 127, numpy.finfo(numpy.float32).tiny)
    rounded = operations.constant(numpy.rint(weights / scales).astype(numpy.int8))
    return operations.multiply(operations.convert(rounded, "f32"), _float32(scales)).output(0)


def _products_of_one_input(model: Any, count: int) -> list[list[Any]]:
    """The matrix products with constant weights of which `count` multiply the same, layer by layer.

    Three are a layer's query, key and value; two are the gate and the other half of its feed-forward.
    """
    sharing = defaultdict(list)
    for operation in model.get_ordered_ops():
        if operation.get_type_name() == "MatMul" and _constant(operation.input_value(1)) is not None:
            multiplied = operation.input_value(0)
            sharing[multiplied.get_node().get_friendly_name(), multiplied.get_index()].append(operation)
    return [products for products in sharing.values() if len(products) == count]


def _constant(output: Any) -> Any:
    """The constant that an output is, or is converted from; None if it is neither."""
    node = output.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None


def _float32(values: Any) -> Any:
    """The output of a float32 constant."""
    import openvino
    from openvino import opset13 as operations

    return operations.constant(values, dtype=openvino.Type.f32).output(0)


def _replace_last_matrix(model: Any, tensors: Tensors) -> None:
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
    tensor = tensors.get("output.weight", tensors["token_embd.weight"])
    if tensor.kind == gguf.GGMLQuantizationType.Q8_0:
        replacement = _from_q8_0(tensor.blocks(), list(weights.get_shape()))
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
