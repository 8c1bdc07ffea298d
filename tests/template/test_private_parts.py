"""The private parts of libraries that this project uses, which docs/upgrading.md lists.

A test that fails here shows which of them an upgrade changed, before an engine misbehaves.
"""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "upgrading.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| `")]


def test_the_page_names_only_modules_and_tests_that_exist() -> None:
    assert len(ROWS) > 10
    for place, *_, test in ROWS:
        first = re.findall(r"`([^`]+)`", place)[0]
        assert (PROJECT / first).exists(), first
        assert (PROJECT / test.strip("`")).exists(), test


def test_every_module_that_mentions_the_page_is_listed_on_it() -> None:
    sources = [*PROJECT.glob("models/**/*.py"), *PROJECT.glob("scripts/**/*.py")]
    referring = [path for path in sources if "docs/upgrading.md" in path.read_text(encoding="utf-8")]
    assert referring
    assert [path for path in referring if str(path.relative_to(PROJECT)) not in PAGE and path.name != "files.py"] == []


def test_the_continuous_batching_of_transformers() -> None:
    from transformers.generation.continuous_batching import continuous_api, input_outputs, model_runner, scheduler

    assert continuous_api.OutputRouter.deliver
    assert continuous_api.OutputRouter.deliver_batch
    manager = set(continuous_api.ContinuousBatchingManager.__init__.__code__.co_names)
    assert {"output_router", "logit_processor", "background_thread_status"} <= manager
    assert "_generation_step" in continuous_api.ContinuousBatchingManager._generation_loop_body.__code__.co_names
    assert "requests_in_batch" in input_outputs.ContinuousBatchingIOs.prepare_batch_update.__code__.co_names
    pairs = input_outputs.ContinuousBatchingAsyncIOs.get_cumulative_seqlens.__code__.co_names
    assert {"io_pairs", "current_pair", "host_io"} <= set(pairs)
    assert "block_new_requests" in scheduler.FIFOScheduler.schedule_batch.__code__.co_names
    assert model_runner.ModelRunner.maybe_pad_inputs
    assert model_runner.ModelRunner._get_forward_fn
    assert continuous_api.ContinuousBatchingManager._create_batch_processor
    assert any(hasattr(kind, "_get_graph_key") for kind in vars(input_outputs).values())


def test_the_processors_of_continuous_batching() -> None:
    from transformers.generation.continuous_batching.cb_logits_processors import ContinuousBatchingLogitsProcessorList

    chain = ContinuousBatchingLogitsProcessorList
    assert chain._retrieve_processors_kwargs
    assert {"tensors_required", "do_processing"} <= set(chain.__init__.__code__.co_names)


def test_the_attention_of_transformers_and_torch() -> None:
    import torch
    from transformers import LlamaConfig, PreTrainedModel

    assert "_attn_implementation" in dir(LlamaConfig())
    assert hasattr(PreTrainedModel, "_supports_flash_attn")
    assert torch.ops.aten._efficient_attention_forward
    assert isinstance(torch.ops.mkldnn._is_mkldnn_bf16_supported(), bool)


def test_the_defaults_of_cog() -> None:
    from cog import Input

    assert Input(default=3, ge=1).default == 3


def test_the_reader_of_gguf_in_transformers() -> None:
    import numpy
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

    processor = TENSOR_PROCESSORS.get("llama", TensorProcessor)(config={"num_attention_heads": 2})
    laid_out = processor.process(
        weights=numpy.ones((4, 4)), name="output_norm.weight", tensor_key_mapping={}, parsed_parameters={"tensors": {}}
    )
    assert (laid_out.name, laid_out.weights.shape) == ("output_norm.weight", (4, 4))
    assert "get_tensor_name_map" in get_gguf_hf_weights_map.__code__.co_names  # it is imported at each call


def test_the_transformations_of_openvino() -> None:
    import numpy
    import openvino
    from openvino import opset13 as operations
    from openvino._offline_transformations import apply_moc_transformations

    given = operations.parameter([2], numpy.float32)
    known = operations.add(operations.constant(numpy.float32([1, 2])), operations.constant(numpy.float32([3, 4])))
    model = openvino.Model([operations.multiply(given, known)], [given])
    apply_moc_transformations(model, cf=True)
    kinds = [node.get_type_name() for node in model.get_ordered_ops()]
    assert (kinds.count("Constant"), kinds.count("Add")) == (1, 0)


def test_the_client_of_replicate() -> None:
    import httpx
    from replicate.client import Client

    client = Client(api_token="none")
    assert isinstance(client._client, httpx.Client)
    assert client._request
    assert client.poll_interval > 0


def test_the_storage_of_huggingface_hub() -> None:
    from huggingface_hub.utils._runtime import is_xet_available

    assert "HF_HUB_DISABLE_XET" in is_xet_available.__code__.co_names  # read at each upload


def test_the_errors_of_huggingface_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2
    from huggingface_hub import HfApi

    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(httpx2.HTTPError):
        HfApi(endpoint="http://127.0.0.1:9").whoami(token="hf_none")
