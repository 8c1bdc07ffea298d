"""A local Replicate for tests: its documented HTTP in front of a real registry and real containers.

A version is an image that was really pushed to r8.im (the local registry), and a prediction really runs in a container
of it. Nothing here can reach Replicate. https://replicate.com/docs/reference/http

    with Replicate() as replicate_service:
        client = replicate.Client(api_token=replicate_service.token, base_url=replicate_service.address)
"""

import re
import secrets
import threading
from types import TracebackType

from . import replicate_deployment_routes, replicate_files, replicate_prediction_routes, replicate_routes
from .http import Service
from .replicate_deployment_routes import Deployment
from .replicate_files import File
from .replicate_http import Fault, FaultKind, Front, Request, Router
from .replicate_prediction import Prediction
from .replicate_routes import Model
from .replicate_runs import LABEL, Machines
from .replicate_webhooks import new_secret

__all__ = ["CUDA_ERROR", "LABEL", "Fault", "FaultKind", "Replicate", "Request"]

CUDA_ERROR = "CUDA error: no kernel image is available for execution on the device"


class Replicate:
    """A local Replicate that runs inside a `with` block; at the end its containers are removed.

    For clients:
        address: http://127.0.0.1:PORT, for the Python client's base_url or REPLICATE_BASE_URL.
        base_url: the same with /v1, for other HTTP clients.
        token: a token of the account `account`; `tokens` maps every valid token to its account.

    For tests, to set and to read:
        faults: the next faults, in order; see Fault.
        requests: every request so far.
        files: the uploaded files, by id.
        official: the OWNER/NAMEs that POST /models/OWNER/NAME/predictions runs; by default none, as for anyone's model.
        page_size: of every list, 100 as documented.
        is_out_of_credit: predictions are answered with 402.
    """

    def __init__(self, account: str = "acme", registry: str = "127.0.0.1:5055") -> None:
        self.account, self.registry = account, registry
        self.token = f"r8_{secrets.token_hex(18)}"
        self.tokens = {self.token: account}
        self.webhook_secret = new_secret()
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.official: set[str] = set()
        self.page_size = 100
        self.is_out_of_credit = False
        self.models: dict[str, Model] = {}
        self.deployments: dict[str, Deployment] = {}
        self.predictions: dict[str, Prediction] = {}
        self.files: dict[str, File] = {}
        self._broken: dict[tuple[str, str | None], str] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "Replicate":
        self._machines = Machines(owner=secrets.token_hex(8))
        tables = (replicate_routes, replicate_prediction_routes, replicate_deployment_routes, replicate_files)
        router = Router({key: route for table in tables for key, route in table.ROUTES.items()})
        self._service = Service()
        self._port = self._service.serve("api", Front(self, router).respond)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for prediction in list(self.predictions.values()):
            prediction.end("canceled")
        self._service.stop()
        self._machines.close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        return f"{self.address}/v1"

    def break_version(self, id: str, place: str | None = None, error: str = CUDA_ERROR) -> None:
        """Make predictions of this version fail with `error` from now on, as on a machine that cannot run it.

        `place`: models/OWNER/NAME or deployments/OWNER/NAME where it fails; by default everywhere.
        """
        if place is not None and not re.fullmatch(r"(models|deployments)/[^/]+/[^/]+", place):
            raise ValueError(f"no place: {place!r}; use models/OWNER/NAME or deployments/OWNER/NAME")
        self._broken[id, place] = error

    def mend_version(self, id: str) -> None:
        """Undo every break_version of this version."""
        self._broken = {key: error for key, error in self._broken.items() if key[0] != id}

    def run(self, prediction: Prediction) -> None:
        """Start a prediction; for the routes."""
        self.predictions[prediction.id] = prediction
        self.models[prediction.version.model].run_count += 1
        id = prediction.version.id
        self._machines.run(prediction, self._broken.get((id, prediction.place)) or self._broken.get((id, None)))

    def retire(self, deployment: str, version: str) -> None:
        """Shut down a deployment's machines, except those of `version`, once they are idle; for the routes."""
        self._machines.retire(f"deployments/{deployment}", version)

    def take_fault(self, method: str, path: str) -> Fault | None:
        """The fault for this request, which is then counted; for the server."""
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and re.fullmatch(fault.path, path):
                    fault.times -= 1
                    return fault
        return None
