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
from scripts.release.release import Refused, Release, say
from scripts.replicate import client as replicate_api
from scripts.replicate.client import ask, patiently
from scripts.serving import docker_engine

Done = TypeVar("Done")
_ATTEMPTS = 3
_SECONDS = 900  # for one prediction, a cold start included


def push(release: Release) -> str:
    """Push with cog; what it pushed must run what was proven, and the registry must have what was pushed.

    cog push builds again and adds a label of its own, so its digest is new; layers and configuration are compared. What
    is in staging since an earlier push stays there.

    Raises:
        Refused: no proof of this image, or another image went out, or another digest arrived.
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
        return f"{release.target.staging_repository}@{release.digest} is there since {earlier.time}"
    _cog_push(release)
    pushed = inspect(release.target.staging)
    if content_of(pushed) != release.content:
        raise Refused(
            "cog push built another image than the proven one (a base image or a package moved): nothing was promoted; "
            f"make push TO={release.target.production} begins anew"
        )
    release.digest = persistently(partial(arrived, release.target.staging))
    if release.digest not in {name.rpartition("@")[2] for name in pushed["RepoDigests"]}:
        raise Refused(
            f"{release.target.staging} holds {release.digest}, which is not what was pushed: who else pushes there?"
        )
    return f"{release.target.staging_repository}@{release.digest}"


def _cog_push(release: Release) -> None:
    image.bake(release.model, release.model.engine_on(release.device))
    with image.build_folder(release.model) as place:
        command = ["push", release.target.staging, "-f", CONFIGS[release.device], *image.build_flags()]
        persistently(partial(image.run_cog, *command, folder=place))


def persistently(act: Callable[[], Done]) -> Done:
    """Do it up to three times: what a registry already has is not sent again."""
    return waiting.retried(
        act,
        lambda error: isinstance(error, TemplateError),
        _ATTEMPTS,
        lambda: say("  cut off or refused; trying again"),
    )


def staging(release: Release) -> str:
    """Run every example on the version that arrived; elsewhere than on Replicate there is no API to run it by.

    Raises:
        Refused: an example fails; the version stays in staging, and nothing was promoted.
    """
    if not release.digest:
        release.go_on_from(_last_pushed(release))
    if not release.target.is_replicate:
        return "no API runs what is in this registry: the proof was of the same image"
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
    """What the cost of a prediction depends on, as its task names it."""
    named = tasks.fact(model, "SIZES", {}).items()
    return {size: float(metrics[name]) for size, name in named if metrics.get(name) is not None}


def _last_pushed(release: Release) -> Entry:
    entry = ledger.passed(release.entries, "push", release.target.production)
    if entry is None:
        raise Refused(
            f"nothing was pushed for {release.target.production}: make push TO={release.target.production} UNTIL=push"
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
