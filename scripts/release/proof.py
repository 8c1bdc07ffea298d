"""The fourth stage: run and test the image that will be pushed, on the GPU if there is one."""

import time
import uuid
from collections.abc import Mapping
from typing import Any

import httpx
from httpx_sse import EventSource

from models import runtimes
from models.manifest import Manifest
from scripts import tasks
from scripts.calling.cancelling import cancel
from scripts.cli import connection
from scripts.cli.progress import counted
from scripts.contract import meaning, schema
from scripts.contract.label import contract_of
from scripts.fuzzing import cases, probe
from scripts.release import ledger
from scripts.release.build import adopt
from scripts.release.release import Refused, Release, say
from scripts.serving import local_container, predicting
from scripts.serving.local_server import ServerError

_ADDRESS = "http://127.0.0.1:5000"


def prove(release: Release) -> str:
    """Test the image: setup, examples, streaming, cancellation, full slots, and fuzzed inputs.

    Raises:
        TemplateError: setup failed, or a test did; with a curl command to reproduce each failure.
    """
    name = release.target.staging
    document = contract_of(adopt(release))
    earlier = ledger.passed(release.entries, "proof", content=release.content)
    if earlier and (earlier.details.get("gpu") or not _has_gpu(release)):
        release.details = earlier.details
        return f"this image was already proven at {earlier.time}"
    gpus = "--gpus all " if _has_gpu(release) else ""
    again = f"to reproduce it: docker run --rm {gpus}-p 5000:5000 {name}"
    problems: list[str] = []
    try:
        measured = tried(release.model, name, document, _has_gpu(release), problems)
        release.details = measured | {"problems": problems[:20]}
    except ServerError as error:
        raise Refused(f"{name} does not start, or ends by itself: {error}; {again}") from error
    except httpx.TransportError as error:
        problems.append(f"then it no longer answered ({connection.reason(error)})")
    if problems:
        raise Refused("\n  ".join([f"{name} fails; {again}, then", *problems]))
    setup = release.details["setup_seconds"]
    cases = f"{release.details['cases']} fuzzed inputs ({release.details['refused']} refused by the model itself)"
    memory = f"; {release.details['peak_memory'] / 1e6:.0f} MB at most" if release.details["peak_memory"] else ""
    where = "; WITHOUT a GPU: this machine has none" if release.device == "cuda" and not _has_gpu(release) else ""
    return f"setup in {setup:.1f} s, {', '.join(release.details['tried'])} and {cases} passed{memory}{where}"


def _has_gpu(release: Release) -> bool:
    """Whether a GPU image is tested on a GPU; on a machine without one, its model runs on the CPU, if at all."""
    return release.device == "cuda" and runtimes.has_cuda_device()


def tried(model: Manifest, name: str, document: Mapping[str, Any], on_gpu: bool, problems: list[str]) -> dict[str, Any]:
    """Test the image, and add each failure to `problems` with a curl command; returns what was tested and measured.

    Cancellation and full slots need an input that takes long, which not every class has.

    Raises:
        httpx.TransportError: the server no longer answers.
    """
    begun = time.monotonic()
    options = local_container.for_fetching() if model.weights.delivery == "fetched" else {}
    example = model.examples[-1].input
    limits = tasks.attribute(model, "LIMITS", cases.NO_LIMITS)
    long = cases.longest(document, example, limits)
    what = [f"{len(model.examples)} examples", *(["streaming"] if meaning.read(document).streams else [])]
    what += ["cancellation", "full slots"] if long else []
    with local_container.running(name, options) as (address, container):
        setup = time.monotonic() - begun
        say(f"  ready after {setup:.1f} s; {', '.join(what)} ...")
        _examples(model, address, problems)
        problems += streams(long or example, address, document) + (_cancels(long, address) if long else [])
        report = _fuzz(model, address, document, limits, long)
        peak = local_container.memory_peak(container)
    problems += [
        f"{failure.case}: {failure.reason}\n    {failure.curl}".replace(address, _ADDRESS)
        for failure in report.failures
    ]
    measured = {"tried": what, "gpu": on_gpu, "setup_seconds": round(setup, 1), "peak_memory": peak}
    return measured | {"cases": report.sent, "refused": report.outcomes.get("refused", 0)}


def _examples(model: Manifest, address: str, problems: list[str]) -> None:
    """Add failures of the manifest's examples to `problems`."""
    for example in model.examples:
        body = {"input": example.input}
        predicting.wait_until_ready(address)
        prediction = predicting.prediction(address, body)
        if prediction["status"] != "succeeded":
            broken = [f"{prediction['status']}: {prediction.get('error')}"]
        else:
            broken = example.expect.failures(prediction["output"], prediction.get("metrics") or {})
        problems += [f"example {example.name!r} {what}\n    {_curl(body)}" for what in broken]


def streams(inputs: Mapping[str, Any], address: str, document: Mapping[str, Any]) -> list[str]:
    """What is wrong with a prediction's events, if the schema promises any (its class has @cog.streaming)."""
    if not meaning.read(document).streams:
        return []
    body = {"input": inputs}
    events: list[str] = []
    headers = {"Accept": "text/event-stream"}
    predicting.wait_until_ready(address)
    with connection.stream(
        "POST", f"{address}/predictions", json=body, headers=headers, timeout=predicting.ANSWER_SECONDS
    ) as answer:
        if answer.status_code == 200:
            for event in EventSource(answer).iter_sse():
                events.append(event.event)
                if event.event in ("output", "completed"):
                    break
    if "output" in events:
        return []
    shown = f"{_curl(body)} -H 'Accept: text/event-stream'"
    return [f"no stream: HTTP {answer.status_code}, events {events[:5]}\n    {shown}"]


def _cancels(long: Mapping[str, Any], address: str) -> list[str]:
    """A problem if a long prediction does not end soon after it was cancelled."""
    url = f"{address}/predictions/{uuid.uuid4().hex}"
    predicting.wait_until_ready(address)
    connection.ask("PUT", url, json={"input": long}, headers={"Prefer": "respond-async"}, timeout=60)
    time.sleep(1)
    if cancel([url], predicting.PATIENCE_SECONDS):
        return []
    return [f"a cancelled prediction still runs after {predicting.PATIENCE_SECONDS} s: {_curl({'input': long})}"]


def _fuzz(
    model: Manifest,
    address: str,
    document: Mapping[str, Any],
    limits: Mapping[str, float],
    long: Mapping[str, Any] | None,
) -> probe.Report:
    """Every case of the fuzz, with a progress bar on standard error."""
    examples = [example.input for example in model.examples]
    made = cases.cases(document, examples, limits=limits)
    say(f"  {len(made)} fuzzed inputs ...")
    with counted("fuzzing", len(made)) as progress:
        return probe.run(
            address,
            made,
            document,
            slots=schema.max_concurrency(schema.served_class(model)),
            occupy=long,
            progress=progress,
        )


def _curl(body: Mapping[str, Any]) -> str:
    return probe.curl_of(_ADDRESS, cases.Case("example", dict(body["input"]), "valid"))
