"""Pushing to staging with cog, and the examples of the manifest through Replicate's API on what arrived there."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

from models.errors import TemplateError
from models.manifest import Example, Manifest
from scripts import tasks
from scripts.calling.outputs import joined
from scripts.calling.remote import ENDED, get
from scripts.cli import waiting
from scripts.cli.device import CONFIGS
from scripts.hardware.replicate import dollars
from scripts.release import image, ledger
from scripts.release.build import adopt, content_of, inspect
from scripts.release.ledger import Entry
from scripts.release.ship import Refused, Ship, say
from scripts.replicate import client as replicate_api
from scripts.replicate.client import ask, patiently
from scripts.serving import docker_engine

Done = TypeVar("Done")
_ATTEMPTS = 3
_SECONDS = 900  # for one prediction, a cold start included


def push(ship: Ship) -> str:
    """Push with cog; what it pushed must run what was proven, and the registry must have what was pushed.

    cog push builds again and adds a label of its own, so its digest is new; layers and configuration are compared. What
    is in staging since an earlier push stays there.

    Raises:
        Refused: no proof of this image, or another image went out, or another digest arrived.
        TemplateError: cog refused, several times.
    """
    adopt(ship)
    if not ledger.passed(ship.entries, "proof", content=ship.content):
        raise Refused(
            f"the image {ship.target.staging} was never proven: make push TO={ship.target.production} UNTIL=proof"
        )
    earlier = ledger.passed(ship.entries, "push", ship.target.production, content=ship.content)
    if earlier and _is_there(ship.target.staging, earlier.digest):
        ship.digest = earlier.digest
        return f"{ship.target.staging_repository}@{ship.digest} is there since {earlier.time}"
    _cog_push(ship)
    pushed = inspect(ship.target.staging)
    if content_of(pushed) != ship.content:
        raise Refused(
            "cog push built another image than the proven one (a base image or a package moved): nothing was promoted; "
            f"make push TO={ship.target.production} begins anew"
        )
    ship.digest = persistently(partial(arrived, ship.target.staging))
    if ship.digest not in {name.rpartition("@")[2] for name in pushed["RepoDigests"]}:
        raise Refused(
            f"{ship.target.staging} holds {ship.digest}, which is not what was pushed: who else pushes there?"
        )
    return f"{ship.target.staging_repository}@{ship.digest}"


def _cog_push(ship: Ship) -> None:
    image.bake(ship.model, ship.model.engine_on(ship.device))
    with image.build_folder(ship.model) as place:
        command = ["push", ship.target.staging, "-f", CONFIGS[ship.device], *image.build_flags()]
        persistently(partial(image.run_cog, *command, folder=place))


def persistently(act: Callable[[], Done]) -> Done:
    """Do it up to three times: what a registry already has is not sent again."""
    import tenacity

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TemplateError),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_exponential(),
        before_sleep=lambda _: say("  cut off or refused; trying again"),
        reraise=True,
    )(act)


def staging(ship: Ship) -> str:
    """Run every example on the version that arrived; elsewhere than on Replicate there is no API to run it by.

    Raises:
        Refused: an example fails; the version stays in staging, and nothing was promoted.
    """
    if not ship.digest:
        ship.go_on_from(_last_pushed(ship))
    if not ship.target.is_replicate:
        return "no API runs what is in this registry: the proof was of the same image"
    client = replicate_api.connect()
    version = f"the version {ship.digest[7:19]} of {ship.target.staging_model}"
    ask(version, lambda: client.models.get(ship.target.staging_model).versions.get(version_of(ship.digest)))
    runs = [run_example(client, example, version_of(ship.digest)) for example in ship.model.examples]
    seconds = [run.seconds for run in runs]
    sku = ship.model.hardware.replicate if ship.device == "cuda" else "cpu"
    cost = dollars(sum(seconds), sku) or 0
    ship.details = {
        "predict_seconds": [round(one, 3) for one in seconds],
        "sizes": [_sizes(ship.model, run.metrics) for run in runs],
        "cold_start_seconds": round(runs[0].waited, 1),
        "dollars": round(cost, 6),
        "hardware": sku,
    }
    return f"{len(seconds)} examples hold, {sum(seconds):.1f} s of predictions, ${cost:.6f} on {sku}"


def _sizes(model: Manifest, metrics: dict[str, Any]) -> dict[str, float]:
    """What the cost of a prediction depends on, as its task names it."""
    named = tasks.fact(model, "SIZES", {}).items()
    return {size: float(metrics[name]) for size, name in named if metrics.get(name) is not None}


def _last_pushed(ship: Ship) -> Entry:
    entry = ledger.passed(ship.entries, "push", ship.target.production)
    if entry is None:
        raise Refused(
            f"nothing was pushed for {ship.target.production}: make push TO={ship.target.production} UNTIL=push"
        )
    return entry


def version_of(digest: str) -> str:
    """A version's id on Replicate is its image's digest."""
    return digest.removeprefix("sha256:")


def arrived(name: str) -> str:
    """The digest that the registry holds under a name, asked of the registry itself with the engine's credentials."""
    import docker

    try:
        with docker_engine.connected() as client:
            found: str = client.api.inspect_distribution(name)["Descriptor"]["digest"]
    except docker.errors.APIError as error:
        raise Refused(f"{name} did not arrive ({error.explanation or error}): try again") from error
    return found


def _is_there(name: str, digest: str) -> bool:
    try:
        return arrived(name) == digest
    except Refused:
        return False


class Run(NamedTuple):
    """A prediction that went well: seconds that Replicate measured, seconds until it started, and its metrics."""

    seconds: float
    waited: float
    metrics: dict[str, Any]


def run_example(client: Any, example: Example, version: str = "", deployment: str = "") -> Run:
    """Run an example of the manifest on a version or a deployment.

    Raises:
        Refused: it failed, or its output is not what the manifest expects.
    """
    maker = client.deployments.predictions if deployment else client.predictions
    where = {"deployment": deployment} if deployment else {"version": version}
    on = f"in the deployment {deployment}" if deployment else "in staging"
    created = ask(f"the example {example.name!r}", lambda: maker.create(input=example.input, **where))
    prediction = _ended(client, created)
    status, given = prediction["status"], prediction.get("output")
    if status != "succeeded":
        raise Refused(f"example {example.name!r} {status} {on}: {prediction.get('error') or 'no reason given'}")
    metrics = prediction.get("metrics") or {}
    broken = example.expect.failures(given, metrics)
    if broken:
        raise Refused(f"example {example.name!r} {'; '.join(broken)} {on}: {joined(given)[:200]!r}")
    created = prediction["created_at"]
    waited = _time(prediction.get("started_at") or created) - _time(created)
    return Run(float(metrics.get("predict_time") or 0), waited, metrics)


def _time(told: str) -> float:
    """A time of Replicate's API, such as 2024-02-15T16:32:57.018467Z, in seconds."""
    return datetime.fromisoformat(told.replace("Z", "+00:00")).timestamp()


def _ended(client: Any, created: Any) -> dict[str, Any]:
    """Wait for the end of a prediction that the client created; one that takes too long is cancelled."""
    path, what = f"/v1/predictions/{created.id}", f"the prediction {created.id}"

    def ended() -> dict[str, Any] | None:
        prediction = patiently(lambda: get(client, path, what))
        return prediction if prediction["status"] in ENDED else None

    if prediction := waiting.until(ended, _SECONDS, pause=0.5):
        return prediction
    created.cancel()
    raise Refused(f"{what} did not end in {_SECONDS} s: cancelled")
