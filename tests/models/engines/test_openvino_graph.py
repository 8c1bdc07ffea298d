"""The rewritten graph is the one that the CPU plugin runs well, and a server with it stays within its memory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy
import openvino as runtime
import pytest
from gguf.quants import dequantize
from openvino import opset13 as operations

from models import weights
from models.engines import openvino_graph
from scripts.weights import ensure
from tests.models.engines.helpers import MODEL, choice_of

LOADED_MB = 900  # measured: 770; with every weight in float32 as well: 1210
LOADING = """
from pathlib import Path
from models import engines, manifest
engine = engines.start(manifest.selected())
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
"""


def is_float16_weight(product: Any) -> bool:
    """Whether a matrix product's second input is a converted float16 constant."""
    converted = product.input_value(1).get_node()
    return bool(
        converted.get_type_name() == "Convert"
        and converted.input_value(0).get_node().get_type_name() == "Constant"
        and converted.input_value(0).get_element_type() == runtime.Type.f16
    )


def last_matrix(graph: Any) -> Any:
    """What the last product, which gives the logits, multiplies with."""
    return graph.output("logits").get_node().input_value(0).get_node().input_value(1).get_node()


@pytest.fixture(scope="module")
def graph() -> Any:
    """The rewritten graph."""
    ensure(MODEL, choice_of(MODEL, "openvino"))
    return runtime.Core().read_model(weights.folder(MODEL.slug, "openvino") / "openvino_model.xml")


def test_a_layer_has_five_products_with_compressed_weights(graph: Any) -> None:
    products = [node for node in graph.get_ordered_ops() if node.get_type_name() == "MatMul"]
    weighted = [product for product in products if is_float16_weight(product)]
    assert len(weighted) == 5 * MODEL.architecture.layers
    assert all("decompression_0" in product.input_value(1).get_node().rt_info for product in weighted)


def test_the_last_matrix_and_the_embedding_are_the_source_s_own_bytes(graph: Any) -> None:
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(weights.gguf_file(MODEL)).tensors}
    embedding = tensors["token_embd.weight"]
    assert embedding.tensor_type == gguf.GGMLQuantizationType.Q8_0
    matrix = last_matrix(graph)
    scaled = matrix.input_value(0).get_node().input_value(0).get_node()
    values, scales = (side.get_node() for side in scaled.input_values())
    kept = values.input_value(0).get_node().data.astype(numpy.float32) * scales.data.astype(numpy.float32)
    assert numpy.array_equal(kept.reshape(len(kept), -1), dequantize(embedding.data, embedding.tensor_type))
    users = sorted(user.get_node().get_type_name() for user in matrix.output(0).get_target_inputs())
    assert users == ["Gather", "MatMul"]


def test_a_last_matrix_that_the_source_has_in_float16_becomes_bfloat16(tmp_path: Path) -> None:
    rows = numpy.linspace(-1, 1, 64 * 32, dtype=numpy.float16).reshape(64, 32)
    source = gguf.GGUFWriter(tmp_path / "source.gguf", "llama")
    source.add_tensor("token_embd.weight", rows)
    source.write_header_to_file()
    source.write_kv_data_to_file()
    source.write_tensors_to_file()
    source.close()
    hidden = operations.parameter([-1, 32], numpy.float32)
    product = operations.matmul(hidden, operations.convert(operations.constant(rows), "f32"), False, True)
    product.output(0).set_names({"logits"})
    small = runtime.Model([product], [hidden])
    openvino_graph._replace_last_matrix(small, tmp_path / "source.gguf")
    assert last_matrix(small).input_value(0).get_element_type() == runtime.Type.bf16
    answered = runtime.Core().compile_model(small, "CPU")(numpy.ones((1, 32), numpy.float32))["logits"]
    assert answered[0] == pytest.approx(rows.astype(numpy.float32).sum(axis=1), abs=0.1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say a process's peak memory")
@pytest.mark.skipif(
    "BF16" not in runtime.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    reason="a CPU without bfloat16 computes in float32, and holds the weights so",
)
def test_loading_holds_each_weight_no_more_than_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE", "openvino")
    ran = subprocess.run(
        [sys.executable, "-c", LOADING], cwd=weights.PROJECT, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout.splitlines()[-1]) * 1024 / 1e6 < LOADED_MB
