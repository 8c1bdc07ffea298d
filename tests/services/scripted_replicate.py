"""A local Replicate whose versions and predictions a test defines: without a registry and containers."""

import threading
from collections.abc import Callable
from typing import Any

from tests.services.replicate import Replicate
from tests.services.replicate_http import now
from tests.services.replicate_prediction import Prediction
from tests.services.replicate_registry import Version
from tests.services.replicate_routes import Model

Script = Callable[[Prediction], None]


class Shelf:
    """A model's versions, oldest first, instead of those in a registry."""

    def __init__(self, name: str, versions: list[Version]) -> None:
        self.name, self.versions = name, versions

    def refresh(self) -> list[Version]:
        return self.versions


class ScriptedReplicate(Replicate):
    """`script` runs each new prediction, in its own thread."""

    def __init__(self) -> None:
        super().__init__()
        self.script: Script = lambda prediction: prediction.end("succeeded")

    def run(self, prediction: Prediction) -> None:
        self.predictions[prediction.id] = prediction
        self.models[prediction.version.model].run_count += 1
        threading.Thread(target=self.script, args=(prediction,), daemon=True).start()

    def add_model(self, name: str, *documents: dict[str, Any], visibility: str = "private") -> list[Version]:
        """A model with a version of each OpenAPI document, the oldest first."""
        versions = [
            Version(name, f"{number:x}".ljust(64, "0"), now(), "0.22.0", document)
            for number, document in enumerate(documents, start=0xABC)
        ]
        owner = name.partition("/")[0]
        fields = {"name": name.partition("/")[2], "visibility": visibility, "description": None, "github_url": None}
        fields |= {"paper_url": None, "license_url": None, "cover_image_url": None}
        self.models[name] = Model(owner, fields, Shelf(name, versions))  # type: ignore[arg-type]
        return versions
