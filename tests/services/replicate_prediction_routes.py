"""The local Replicate's routes for predictions and webhooks; each cites its documentation."""

import re
import threading
import time
from typing import TYPE_CHECKING, Any, Literal

from .replicate_http import Answer, Call, Problem, Route, invalid, not_found, page, timestamp
from .replicate_prediction import Prediction
from .replicate_registry import Version
from .replicate_routes import Strict, check_input, visible_model
from .replicate_webhooks import BY_DEFAULT, Webhook

if TYPE_CHECKING:
    from .replicate import Replicate

_UNITS = {"h": 3600, "m": 60, "s": 1, "": 1}


class NewPrediction(Strict):
    input: dict[str, Any]
    stream: bool | None = None
    webhook: str | None = None
    webhook_events_filter: list[Literal["start", "output", "logs", "completed"]] | None = None


class NewVersionPrediction(NewPrediction):
    version: str


def create_prediction(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#predictions.create

    `version` is a version's id, OWNER/NAME:ID, or the OWNER/NAME of an official model.
    """
    body = call.body(NewVersionPrediction)
    if body.version in replicate.official:
        owner, name = body.version.split("/")
        return _run_official(replicate, call, owner, name, body)
    name, _, id = body.version.rpartition(":")
    for model in list(replicate.models.values()):
        if model.full_name == (name or model.full_name):
            for version in visible_versions(replicate, call, model.full_name):
                if version.id == id:
                    return run(replicate, call, body, version, f"models/{model.full_name}")
    detail = "The specified version does not exist (or perhaps you don't have permission to use it?)"
    raise Problem(422, "Invalid version or not permitted", detail)


def visible_versions(replicate: "Replicate", call: Call, full_name: str) -> list[Version]:
    """The versions of a model that the caller may see; none of any other."""
    model = replicate.models[full_name]
    hidden = model.fields["visibility"] == "private" and model.owner != call.account
    return [] if hidden else model.repository.refresh()


def create_official_prediction(replicate: "Replicate", call: Call, owner: str, name: str) -> Answer:
    """https://replicate.com/docs/reference/http#models.predictions.create: of an official model's latest version."""
    return _run_official(replicate, call, owner, name, call.body(NewPrediction))


def _run_official(replicate: "Replicate", call: Call, owner: str, name: str, body: NewPrediction) -> Answer:
    model = visible_model(replicate, call, owner, name)
    versions = model.repository.refresh()
    if model.full_name not in replicate.official or not versions:
        raise not_found("The requested official model")
    return run(replicate, call, body, versions[-1], f"models/{owner}/{name}")


def run(replicate: "Replicate", call: Call, body: NewPrediction, version: Version, place: str) -> Answer:
    """Check, then run; with `Prefer: wait` the response waits until the prediction ends or the time is up.

    https://replicate.com/docs/topics/predictions/create-a-prediction#sync-mode: once the time is up, the prediction is
    returned as "starting", whatever its state is.
    """
    seconds, lifetime = _seconds_to_wait(call), _lifetime(call)
    if body.webhook is not None and not re.match(r"https?://", body.webhook):
        raise invalid([("webhook", "Does not match format 'uri'")])
    check_input(version, body.input)
    if replicate.is_out_of_credit:
        detail = "You have insufficient credit to run this model. Go to https://replicate.com/account/billing"
        raise Problem(402, "Insufficient credit", detail)
    prediction = Prediction(call.account, version, place, body.input, replicate.address)
    if place.startswith("deployments/"):
        prediction.describe(deployment=place.removeprefix("deployments/"))
    if body.webhook is not None:
        events = BY_DEFAULT if body.webhook_events_filter is None else body.webhook_events_filter
        prediction.listener = Webhook(body.webhook, events, replicate.webhook_secret).notify
    if lifetime is not None:
        _set_deadline(prediction, lifetime)
    replicate.run(prediction)
    if seconds == 0 or prediction.wait(seconds):
        return Answer(201, shown(replicate, prediction))
    return Answer(202, shown(replicate, prediction) | {"status": "starting"})


def shown(replicate: "Replicate", prediction: Prediction) -> dict[str, Any]:
    """A prediction as it is returned; an official model hides its version."""
    record = prediction.as_json()
    is_official = record["model"] in replicate.official and "deployment" not in record
    return record | {"version": "hidden"} if is_official else record


def _seconds_to_wait(call: Call) -> float:
    prefer = call.headers.get("Prefer")
    if prefer is None:
        return 0
    match = re.fullmatch(r"wait(?:=([1-9]|[1-5][0-9]|60))?", prefer)
    if match is None:
        raise invalid([("Prefer", "use wait or wait=N, N from 1 to 60")])
    return float(match[1] or 60)


def _lifetime(call: Call) -> float | None:
    value = call.headers.get("Cancel-After")
    if value is None:
        return None
    parts = re.findall(r"(\d+)([hms]?)", value)
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != value or seconds < 5:
        raise invalid([("Cancel-After", "use a duration of 5 seconds or more, like 30s or 1h30m")])
    return float(seconds)


def _set_deadline(prediction: Prediction, seconds: float) -> None:
    prediction.describe(deadline=timestamp(time.time() + seconds))
    timer = threading.Timer(seconds, prediction.pass_deadline)
    timer.daemon = True
    timer.start()


def list_predictions(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#predictions.list: the caller's, the most recent first, 100 a page."""
    own = [each for each in list(replicate.predictions.values()) if each.account == call.account]
    items = [shown(replicate, prediction) for prediction in reversed(own)]
    return Answer(200, page(call, replicate.address, items, "id", replicate.page_size))


def get_prediction(replicate: "Replicate", call: Call, id: str) -> Answer:
    """https://replicate.com/docs/reference/http#predictions.get"""
    return Answer(200, shown(replicate, own_prediction(replicate, call, id)))


def cancel_prediction(replicate: "Replicate", call: Call, id: str) -> Answer:
    """https://replicate.com/docs/reference/http#predictions.cancel: it ends when its model has stopped."""
    prediction = own_prediction(replicate, call, id)
    prediction.cancel()
    return Answer(200, shown(replicate, prediction))


def stream_prediction(replicate: "Replicate", call: Call, key: str) -> Answer:
    """https://replicate.com/docs/topics/predictions/streaming; on Replicate another host, https://stream.replicate.com.

    Everybody who knows the URL may read it: the official clients send no token there, and browsers have none.
    """
    for prediction in list(replicate.predictions.values()):
        if prediction.stream_key == key and "stream" in prediction.as_json()["urls"]:
            return Answer(200, events=prediction.stream())
    raise not_found("The requested stream")


def own_prediction(replicate: "Replicate", call: Call, id: str) -> Prediction:
    prediction = replicate.predictions.get(id)
    if prediction is None or prediction.account != call.account:
        raise not_found("The requested prediction")
    return prediction


def webhook_secret(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#webhooks.default.secret.get"""
    return Answer(200, {"key": replicate.webhook_secret})


ROUTES: dict[tuple[str, str], Route] = {
    ("POST", "/v1/predictions"): create_prediction,
    ("GET", "/v1/predictions"): list_predictions,
    ("GET", "/v1/predictions/{id}"): get_prediction,
    ("POST", "/v1/predictions/{id}/cancel"): cancel_prediction,
    ("GET", "/streaming/v1/streams/{key}"): stream_prediction,
    ("POST", "/v1/models/{owner}/{name}/predictions"): create_official_prediction,
    ("GET", "/v1/webhooks/default/secret"): webhook_secret,
}
