"""The rewritten graph has the form that the CPU plugin runs fast, and its server stays within its memory."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import openvino as runtime
import pytest
from openvino import opset13 as operations

from models import manifest, weights
from models.runtimes.gguf import openvino_graph
from scripts.conversion.weights import ensure
from tests.template.models.tasks.text_generation.engines.helpers import MODEL, choice_of

LOADED_MB = 900  # measured: 770; with every weight in float32 as well: 1210
needs_bfloat16 = pytest.mark.skipif(
    "BF16" not in runtime.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    reason="a CPU without bfloat16 computes in float32, and holds the weights so",
)
LOADING = """
from pathlib import Path
from models import manifest
from models.tasks.text_generation import engines
engine = engines.start(manifest.selected())
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
"""


def weight_type(node: Any) -> str | None:
    """The type of the constant from which the second input of a matrix product is converted."""
    if node.get_type_name() != "MatMul":
        return None
    converted = node.input_value(1).get_node()
    if converted.get_type_name() != "Convert" or converted.input_value(0).get_node().get_type_name() != "Constant":
        return None
    return str(converted.input_value(0).get_element_type().get_type_name())


def names(facts: Any) -> str:
    """The names that an operation of a compiled graph had before."""
    return str(facts["originalLayersNames"].astype(str))


def last_matrix(graph: Any) -> Any:
    """The matrix of the last product, which computes the logits."""
    return graph.output("logits").get_node().input_value(0).get_node().input_value(1).get_node()


def weight_types(model: Any) -> list[str]:
    """`weight_type` of each matrix product that has one."""
    return [kind for node in model.get_ordered_ops() if (kind := weight_type(node))]


@pytest.fixture(scope="module")
def graph() -> Any:
    ensure(MODEL, choice_of(MODEL, "openvino"))
    return runtime.Core().read_model(weights.folder(MODEL.slug, "openvino") / "openvino_model.xml")


def test_a_layer_has_five_products_with_compressed_weights(graph: Any) -> None:
    # Query, key and value in one; the attention's output; the feed-forward's three. The last gives the logits.
    assert weight_types(graph) == ["f16"] * 5 * MODEL.architecture.layers + ["bf16"]
    products = [node for node in graph.get_ordered_ops() if weight_type(node) == "f16"]
    assert all("decompression_0" in product.input_value(1).get_node().rt_info for product in products)


@needs_bfloat16
def test_the_residual_stream_stays_in_float32_where_all_else_is_bfloat16(graph: Any) -> None:
    compiled = runtime.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    facts = [node.rt_info for node in compiled.get_runtime_model().get_ordered_ops()]
    sums = [one for one in facts if one["layerType"].astype(str) == "Eltwise" and ".self_attn.add" in names(one)]
    assert [one["runtimePrecision"].astype(str) for one in sums] == ["f32"] * 2 * MODEL.architecture.layers


def test_the_embedding_is_the_last_matrix_held_once(graph: Any) -> None:
    users = last_matrix(graph).output(0).get_target_inputs()
    assert sorted(user.get_node().get_type_name() for user in users) == ["Gather", "MatMul"]


@needs_bfloat16
def test_logits_are_not_rounded_to_bfloat16(graph: Any) -> None:
    """If they were rounded, the two largest would often be equal, and the first of them would be chosen."""
    logits = openvino_graph.computing(graph, {"INFERENCE_PRECISION_HINT": "bf16"})([1, 2, 3])
    assert (logits.view(numpy.uint32) & 0xFFFF != 0).mean() > 0.9


def test_additions_to_the_residual_stream_are_found_behind_a_bias() -> None:
    token_ids = operations.parameter([1, -1], numpy.int64)
    token_ids.output(0).set_names({"input_ids"})
    embedded = operations.gather(operations.constant(numpy.ones((9, 4), numpy.float32)), token_ids, numpy.int64(0))
    biased = operations.add(operations.relu(embedded), numpy.ones((1, 1, 4), numpy.float32))
    total = operations.add(embedded, biased)
    found = openvino_graph._residual_stream(runtime.Model([total], [token_ids]))
    assert found == {embedded.get_friendly_name(), total.get_friendly_name()}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say a process's peak memory")
@needs_bfloat16
def test_loading_has_each_weight_in_memory_at_most_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE", "openvino")
    ran = subprocess.run(
        [sys.executable, "-c", LOADING], cwd=manifest.PROJECT, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout.splitlines()[-1]) * 1024 / 1e6 < LOADED_MB
