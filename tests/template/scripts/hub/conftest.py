"""A model in its own catalog to publish on the local Hub, in this process, which is fast."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import HfApi, constants

from models import manifest, weights
from models.manifest import Manifest
from models.weights import lock
from models.weights.progress import PlainLines
from scripts import publish
from scripts.release import ledger
from tests import tiny_models
from tests.services.hub import Hub

SLUG = "tiny"


@dataclass
class Published:
    """The model's folders, and the arguments of `make publish`."""

    folder: Path
    hub: Hub

    @property
    def catalog(self) -> Path:
        return self.folder / "catalog" / SLUG

    def says(self, **keys: Any) -> None:
        """Change keys of the manifest."""
        path = self.catalog / "model.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | keys))

    def publish(self, *arguments: str, to: str = "acme/tiny") -> int:
        return publish.main([to, *arguments])

    @property
    def model(self) -> Manifest:
        return manifest.load(SLUG)

    @property
    def api(self) -> HfApi:
        """The publisher's client."""
        return HfApi(endpoint=self.hub.endpoint, token="hf_writer")

    def files(self, name: str = "acme/tiny") -> dict[str, bytes]:
        """The files of the main branch."""
        repo = self.hub.repos[name]
        tree = repo.commits[repo.refs["main"]]
        return {path: Path(c).read_bytes() if isinstance(c := blob.content, Path) else c for path, blob in tree.items()}

    @property
    def sent(self) -> list[bytes]:
        """The large files that were uploaded."""
        return [request.content for request in self.hub.requests if request.method == "PUT" and request.host == "cdn"]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.writer("hf_writer", "ada", "acme")
        yield hub


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small llama's repository: safetensors, configuration, tokenizer."""
    return tiny_models.safetensors(tmp_path_factory.mktemp("tiny") / "source", "llama")


@pytest.fixture
def logged_in(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The local Hub instead of the real one, and an empty ledger."""
    monkeypatch.setattr(ledger, "FOLDER", tmp_path / "releases")
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)  # HF_ENDPOINT makes it True
    return tmp_path


@pytest.fixture
def at_home(logged_in: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty catalog and an empty weights folder, too."""
    for module in (manifest, lock):
        monkeypatch.setattr(module, "CATALOG", logged_in / "catalog")
    monkeypatch.setenv("WEIGHTS_ROOT", str(logged_in / "weights"))
    return logged_in


@pytest.fixture
def published(at_home: Path, hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Published:
    """A tiny llama with own weights, ready to be published."""
    content = yaml.safe_load(default_manifest().read_text())
    content["weights"] = {"source": f"file:{tiny}"}
    content["license"]["copyright"] = "Copyright (c) 2026 Acme"
    del content["base"]
    found = Published(at_home, hub)
    found.catalog.mkdir(parents=True)
    (found.catalog / "model.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("MODEL", SLUG)
    lock.write(found.model, weights.make_lock(found.model, PlainLines()))
    return found


def default_manifest() -> Path:
    """The manifest of the template's own model, whatever the catalog has now."""
    return Path(__file__).parents[4] / "models" / "catalog" / "smollm2-135m-instruct" / "model.yaml"


@pytest.fixture
def entries(at_home: Path) -> Callable[[], list[list[str]]]:
    """The ledger's steps and their results."""

    def read() -> list[list[str]]:
        lines = ledger.path_of(SLUG).read_text().splitlines()
        return [[json.loads(line)["step"], json.loads(line)["result"]] for line in lines]

    return read
