"""A repository of the local Hub with weights, and a project that takes them from there."""

from pathlib import Path

from tests.services.http_messages import Request
from tests.services.hub import Hub
from tests.template.models.weights.project import Project, safetensors

NAME = "org/name"
CHUNK = 100_000
TOKEN = "hf_reader_secret"
CONFIG = b'{"model_type": "llama"}'
SHARDS = {f"model-0000{number}-of-00002.safetensors": safetensors(350_000) for number in (1, 2)}
WANTED = {"config.json": CONFIG, "tokenizer.json": b"{}", "tokenizer_config.json": b"{}", **SHARDS}
UNWANTED = {"README.md": b"# Name", "onnx/config.json": CONFIG, "pytorch_model.bin": b"pickle", "modeling.py": b"code"}
FILES = {**WANTED, **UNWANTED}


def on_the_hub(hub: Hub, folder: Path) -> Project:
    """A project whose weights are the repository NAME, downloaded in small ranges."""
    project = Project(folder, HF_ENDPOINT=hub.endpoint)
    project.settings["models.weights.parts.CHUNK"] = CHUNK
    project.model(f"hf://{NAME}@main")
    return project


def sent_by_cdn(hub: Hub) -> list[Request]:
    return [request for request in hub.requests if request.host == "cdn"]


def bodies(hub: Hub) -> list[Request]:
    return [request for request in hub.requests if request.bytes_sent and "/api/models/" not in request.path]
