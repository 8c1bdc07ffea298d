"""The third stage: build the image with cog, and report its layers and what grew since the last release."""

import hashlib
import json
from typing import Any

from scripts.contract import label, schema
from scripts.release import image, ledger
from scripts.release.release import Refused, Release
from scripts.serving import docker_engine

PUSH_ID = "run.cog.push_id"  # a new label at each cog push, and the only thing that a push adds
_SHOWN_LAYERS = 5
_GROWN = 50_000  # bytes


def build(release: Release) -> str:
    """Build the image under its staging name, so that the push finds every layer ready.

    Raises:
        TemplateError: the weights are not available, or cog refused.
    """
    image.build(release.model, release.device, release.target.staging)
    found = adopt(release)
    layers = layer_sizes(release.target.staging)
    release.details = {"size": found["Size"], "layers": layers}
    before = ledger.live(release.entries, release.target.production)
    built = ledger.passed(release.entries, "image", content=before.content) if before else None
    biggest = ", ".join(f"{size / 1e6:.0f} MB {what}" for size, what in sorted(layers, reverse=True)[:_SHOWN_LAYERS])
    return f"{found['Size'] / 1e6:.0f} MB{_growth(found['Size'], layers, built)}: {biggest}"


def adopt(release: Release) -> dict[str, Any]:
    """The attributes of the image for staging; its content and contract are stored in the release.

    Raises:
        TemplateError: there is no such image, or its contract is not that of predict.py.
    """
    found = inspect(release.target.staging)
    release.content = content_of(found)
    release.schema_id = ledger.keep_schema(label.check(found, schema.served_class(release.model)))
    return found


def inspect(name: str) -> dict[str, Any]:
    """The attributes of an image, as `docker inspect` shows them.

    Raises:
        TemplateError: there is no such image, or no Docker engine.
    """
    import docker

    try:
        with docker_engine.connected() as client:
            found: dict[str, Any] = client.images.get(name).attrs
    except docker.errors.ImageNotFound as error:
        raise Refused(f"there is no image {name}: the stage image builds it") from error
    return found


def content_of(found: dict[str, Any]) -> str:
    """The sha256 of an image's layers and configuration, without the label that cog push adds."""
    config = found["Config"]
    kept = {key: config.get(key) for key in ("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "ExposedPorts")}
    labels = {name: value for name, value in (config.get("Labels") or {}).items() if name != PUSH_ID}
    content = json.dumps([found["RootFS"]["Layers"], kept, labels, found["Architecture"]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def layer_sizes(name: str) -> list[tuple[int, str]]:
    """The bytes of each layer that is not empty, and the command that made it."""
    with docker_engine.connected() as client:
        history = client.images.get(name).history()
    return [(layer["Size"], _short(layer["CreatedBy"]) or "the base image") for layer in history if layer["Size"]]


def _short(command: str) -> str:
    words = command.replace("|", " ").replace("/bin/sh -c", "").replace("# buildkit", "").split()
    text = " ".join(word for word in words if word not in ("RUN", "#(nop)") and "=" not in word)
    return text[:60]


def _growth(size: int, layers: list[tuple[int, str]], before: ledger.Entry | None) -> str:
    """How much larger the image is than that of the last release, and which layers grew."""
    if not before or "size" not in before.details:
        return ""
    old = {what: bytes_ for bytes_, what in before.details.get("layers", [])}
    changes = [(bytes_ - old.get(what, 0), what) for bytes_, what in layers]
    grown = [f"{change / 1e6:+.1f} MB {what}" for change, what in sorted(changes, reverse=True) if change > _GROWN]
    since = f"{(size - before.details['size']) / 1e6:+.1f} MB since the last release"
    return f" ({since}{': ' if grown else ''}{', '.join(grown)})"
