"""Runs an encoder with OpenVINO on the CPU. https://docs.openvino.ai/2026/api/ie_python_api/api.html"""

import queue
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.encoders.tokens import Tokens, padded
from models.engine import EngineChoice
from models.errors import EngineError
from models.json_files import read_json
from models.weights import openvino_format

OUTPUTS = ("logits", "last_hidden_state", "token_embeddings")
"""The name of a graph's output: for a classifier, for an encoder, and for one that sentence-transformers exported."""
_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
_LEAST_WIDTH = 64
_LENGTHS = 8
"""Batches are padded to multiples of so many tokens: the plugin compiles kernels for each new shape, and keeps them."""


def load(choice: EngineChoice, folder: Path) -> "OpenVinoEncoder":
    """Compile the model for this processor, in what it computes fastest, or in float32 if its weights are."""
    return OpenVinoEncoder(choice, folder)


class OpenVinoEncoder:
    """`exactly`: compute in float32 on every processor, as always with weights in float32.

    Two batches run at once, each on half of the processors: while one waits for Python, the other computes, and fewer
    threads wait for each other. On two cores that is a quarter more texts a second than one batch on both.
    """

    budget = 4096
    most_texts = 32
    workers = 2

    def __init__(self, choice: EngineChoice, folder: Path, exactly: bool = False) -> None:
        import openvino

        model = openvino.Core().read_model(folder / openvino_format.MODEL)
        self._inputs = {port.get_any_name() for port in model.inputs}
        names = {name for port in model.outputs for name in port.get_names()}
        self._output = next((name for name in OUTPUTS if name in names), "")
        if unknown := self._inputs - _INPUTS:
            raise EngineError(f"{folder} is not a text encoder: its graph has the inputs {', '.join(sorted(unknown))}")
        if not self._output:
            raise EngineError(f"{folder} is not a text encoder: its graph has the outputs {', '.join(sorted(names))}")
        config = read_json(folder / "config.json")
        # OpenVINO 2026.4 gives random results for int8 weights of 32 columns in bfloat16 with two streams. Such a model
        # computes one batch after the other.
        streams = self.workers if config.get("hidden_size", _LEAST_WIDTH) >= _LEAST_WIDTH else 1
        properties = {"INFERENCE_PRECISION_HINT": "f32"} if exactly or choice.dtype == "float32" else {}
        compiled = openvino.Core().compile_model(model, "CPU", properties | {"NUM_STREAMS": streams})
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self.workers):
            self._requests.put(compiled.create_infer_request())
        self._pad_id = config.get("pad_token_id") or 0
        self.name, self.device, self.folder = choice.engine, choice.device, folder
        self.dtype = str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())

    def run(self, batch: Sequence[Tokens]) -> Any:
        given = padded(batch, self._pad_id, _LENGTHS)
        request = self._requests.get()
        try:
            request.infer({name: given[name] for name in self._inputs})
            return request.get_tensor(self._output).data.copy()
        finally:
            self._requests.put(request)
