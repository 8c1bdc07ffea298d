"""The third stage: the image, built by cog; what is in it, layer by layer, and what grew since the last release."""

import hashlib
import json
from typing import Any

from scripts import image
from scripts.release import ledger
from scripts.release.ship import Ship

PUSH_ID = "run.cog.push_id"  # a label that is new at each cog push, and the only thing that a push adds
_SHOWN_LAYERS = 5


def build(ship: Ship) -> str:
    """Build under the name that is pushed to first, so that the push finds every layer ready.

    Raises:
        TemplateError: the weights cannot be had, or cog refused.
    """
    image.build(ship.model, ship.device, ship.target.staging)
    found = inspect(ship.target.staging)
    ship.content = content_of(found)
    layers = layer_sizes(ship.target.staging)
    ship.details = {"size": found["Size"], "layers": [size for size, _ in layers]}
    before = ledger.live(ship.entries, ship.target.production)
    built = ledger.passed(ship.entries, ship.target.production, "image", content=before.content) if before else None
    biggest = ", ".join(f"{size / 1e6:.0f} MB {what}" for size, what in sorted(layers, reverse=True)[:_SHOWN_LAYERS])
    return f"{found['Size'] / 1e6:.0f} MB{_growth(found['Size'], built)}: {biggest}"


def inspect(name: str) -> dict[str, Any]:
    """What the engine knows of an image.

    Raises:
        docker.errors.ImageNotFound: there is none.
    """
    import docker

    client = docker.from_env()
    try:
        found: dict[str, Any] = client.images.get(name).attrs
        return found
    finally:
        client.close()


def content_of(found: dict[str, Any]) -> str:
    """sha256 of what an image runs: its layers and its configuration, without the label that cog push adds."""
    config = found["Config"]
    kept = {key: config.get(key) for key in ("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "ExposedPorts")}
    labels = {name: value for name, value in (config.get("Labels") or {}).items() if name != PUSH_ID}
    whole = json.dumps([found["RootFS"]["Layers"], kept, labels, found["Architecture"]], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def layer_sizes(name: str) -> list[tuple[int, str]]:
    """Bytes of each layer that has any, and the command that made it."""
    import docker

    client = docker.from_env()
    try:
        history = client.images.get(name).history()
    finally:
        client.close()
    return [(layer["Size"], _short(layer["CreatedBy"])) for layer in history if layer["Size"]]


def _short(command: str) -> str:
    words = command.replace("|", " ").replace("/bin/sh -c", "").replace("# buildkit", "").split()
    text = " ".join(word for word in words if word not in ("RUN", "#(nop)") and "=" not in word)
    return text[:60]


def _growth(size: int, before: ledger.Entry | None) -> str:
    if not before or "size" not in before.details:
        return ""
    return f" ({(size - before.details['size']) / 1e6:+.1f} MB since the last release)"
