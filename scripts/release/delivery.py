"""Pushes to staging with cog, then runs the manifest's examples on the pushed version through Replicate's API."""

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
from scripts.release.release import Refused, Release, say
from scripts.replicate import client as replicate_api
from scripts.replicate.client import ask, retry_temporary
from scripts.serving import docker_engine

Done = TypeVar("Done")
_ATTEMPTS = 3
_SECONDS = 900  # for one prediction, including a cold start


def push(release: Release) -> str:
    """Push with cog; check that it pushed the proven image, and that the registry has what was pushed.

    cog push builds again and adds a label of its own, so its digest is new; layers and configuration are compared. An
    image that an earlier push brought to staging is not pushed again.

    Raises:
        Refused: this image was not proven, another image was pushed, or another digest arrived.
        TemplateError: cog refused, several times.
    """
    adopt(release)
    if not ledger.passed(release.entries, "proof", content=release.content):
        raise Refused(
            f"the image {release.target.staging} was never proven: make push TO={release.target.production} UNTIL=proof"
        )
    earlier = ledger.passed(release.entries, "push", release.target.production, content=release.content)
    if earlier and _is_there(release.target.staging, earlier.digest):
        release.digest = earlier.digest
        return f"{release.target.staging_repository}@{release.digest} has been there since {earlier.time}"
    _cog_push(release)
    pushed = inspect(release.target.staging)
    if content_of(pushed) != release.content:
        raise Refused(
            "cog push built another image than the proven one (a base image or a package changed): nothing was "
            f"promoted; start again: make push TO={release.target.production}"
        )
    release.digest = retry_any_refusal(partial(arrived, release.target.staging))
    if release.digest not in {name.rpartition("@")[2] for name in pushed["RepoDigests"]}:
        raise Refused(
            f"{release.target.staging} has {release.digest}, which is not what was pushed: does somebody else push "
            "there?"
        )
    return f"{release.target.staging_repository}@{release.digest}"


def _cog_push(release: Release) -> None:
    image.bake(release.model, release.model.engine_on(release.device))
    with image.build_folder(release.model) as folder:
        command = ["push", release.target.staging, "-f", CONFIGS[release.device], *image.build_flags()]
        retry_any_refusal(partial(image.run_cog, *command, folder=folder))


def retry_any_refusal(act: Callable[[], Done]) -> Done:
    """Call `act` up to three times, whatever its refusal is; a registry does not need again what it already has."""
    return waiting.retry(
        act,
        lambda error: isinstance(error, TemplateError),
        _ATTEMPTS,
        lambda: say("  cut off or refused; trying again"),
    )


def staging(release: Release) -> str:
    """Run every example on the pushed version. Only Replicate has an API for that.

    Raises:
        Refused: an example fails; the version stays in staging, and nothing was promoted.
    """
    if not release.digest:
        release.continue_from(_last_pushed(release))
    if not release.target.is_replicate:
        return "this registry has no API to run the image: the proof was of the same image"
    client = replicate_api.connect()
    version = f"the version {release.digest[7:19]} of {release.target.staging_model}"
    ask(version, lambda: client.models.get(release.target.staging_model).versions.get(version_of(release.digest)))
    runs = [run_example(client, example, version_of(release.digest)) for example in release.model.examples]
    seconds = [run.seconds for run in runs]
    sku = release.model.hardware.replicate if release.device == "cuda" else "cpu"
    cost = dollars(sum(seconds), sku) or 0
    release.details = {
        "predict_seconds": [round(one, 3) for one in seconds],
        "sizes": [_sizes(release.model, run.metrics) for run in runs],
        "cold_start_seconds": round(runs[0].waited, 1),
        "dollars": round(cost, 6),
        "hardware": sku,
    }
    return f"{len(seconds)} examples hold, {sum(seconds):.1f} s of predictions, ${cost:.6f} on {sku}"


def _sizes(model: Manifest, metrics: dict[str, Any]) -> dict[str, float]:
    """The sizes that a prediction's cost depends on, by the task's names for them."""
    named = tasks.attribute(model, "SIZES", {}).items()
    return {size: float(metrics[name]) for size, name in named if metrics.get(name) is not None}


def _last_pushed(release: Release) -> Entry:
    entry = ledger.passed(release.entries, "push", release.target.production)
    if entry is None:
        raise Refused(
            f"nothing was pushed for {release.target.production}: make push TO={release.target.production} UNTIL=push"
        )
    return entry


def version_of(digest: str) -> str:
    """The version's id on Replicate, which is the image's digest without "sha256:"."""
    return digest.removeprefix("sha256:")


def arrived(name: str) -> str:
    """The digest that the registry has for a name, read from the registry with the Docker engine's credentials."""
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
    """A successful prediction: its seconds as measured by Replicate, seconds until it started, and its metrics."""

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


def _time(text: str) -> float:
    """A time of Replicate's API, such as 2024-02-15T16:32:57.018467Z, in seconds."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _ended(client: Any, created: Any) -> dict[str, Any]:
    """Wait for the end of a prediction; if it takes too long, cancel it."""
    path, what = f"/v1/predictions/{created.id}", f"the prediction {created.id}"

    def ended() -> dict[str, Any] | None:
        prediction = retry_temporary(lambda: get(client, path, what))
        return prediction if prediction["status"] in ENDED else None

    if prediction := waiting.until(ended, _SECONDS, pause=0.2):
        return prediction
    created.cancel()
    raise Refused(f"{what} did not end in {_SECONDS} s: cancelled")
