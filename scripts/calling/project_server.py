"""A prediction on this project's own server, which is started for it and stopped after it."""

import tempfile
from contextlib import ExitStack
from typing import Any

from models import manifest, runtimes
from scripts.calling.client import Client, PredictionRequest
from scripts.calling.cog_server import CogServer
from scripts.calling.display import Display
from scripts.contract import schema
from scripts.conversion import weights
from scripts.serving import local_server


class ProjectServer(Client):
    """Reads the schema from predict.py, so that a wrong input is refused before the model is loaded."""

    def __init__(self) -> None:
        self._model = manifest.selected()
        self.document = schema.generate(schema.served_class(self._model))

    def run(self, request: PredictionRequest, display: Display) -> dict[str, Any]:
        """Fetch the weights if need be, start the server, and run the prediction on it."""
        weights.ensure(self._model, runtimes.choose(self._model))
        with ExitStack() as until_the_end:
            log = until_the_end.enter_context(tempfile.TemporaryFile())
            with display.meanwhile(f"starting the server of {self._model.slug}"):
                address, _ = until_the_end.enter_context(local_server.running(self._model, log=log))
            return CogServer(address).run(request, display)
