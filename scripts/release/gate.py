"""The first two stages, before anything is built: is all ready, and does the new contract break anyone?"""

import re
from typing import Any

from models import engines, weights
from scripts import render, schema
from scripts.release import contract, ledger
from scripts.release.ship import Refused, Ship, changed_files, committed_json
from scripts.replicate import client as replicate_api
from scripts.replicate.client import ReplicateRefusal


def ready(ship: Ship) -> str:
    """Rendered files current, nothing uncommitted, weights in place, a licence stated, a token that is known, a model.

    Raises:
        TemplateError: the first of these that does not hold.
    """
    drifted = [name for name, text in render.rendered(ship.model).items() if _present(name) != text]
    if drifted:
        raise Refused(f"{', '.join(drifted)}: not as rendered: make render, and commit the result")
    changed = changed_files()
    if changed and not ship.may_be_dirty:
        shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
        raise Refused(f"not committed: {shown}: commit first, or ship as it is with DIRTY=1, which the ledger records")
    choice = ship.model.engine_on(ship.device)
    if ship.model.weights.delivery == "baked" and engines.is_ready(ship.model, choice):
        weights.verify(ship.model, engines.part_of(ship.model, choice), full=False)
    account = _account(ship) if ship.target.is_replicate else ""
    return f"licence {ship.model.license.id}, {'uncommitted changes' if changed else 'all committed'}{account}"


def compare(ship: Ship) -> str:
    """Compare the class's schema with the live version's; a breaking difference needs a reason.

    Raises:
        Refused: it breaks callers; lists every difference and what to do instead.
    """
    new = schema.generate(ship.model.predictor_class)
    ship.schema_id = ledger.keep_schema(new)
    where, old = _live_schema(ship)
    if old is None:
        return f"nothing is live at {ship.target.production} yet, so nobody can break"
    differences = contract.compare(old, new)
    breaks = [difference for difference in differences if difference.kind == "breaking"]
    ship.details = {"differences": [f"{one.kind} {one.path}: {one.what}" for one in differences], "against": where}
    if breaks and not ship.breaking:
        raise Refused(contract.report(differences).replace("TO=...", f"TO={ship.target.production}"))
    ship.why = ship.breaking if breaks else ""
    return f"against {where}: {contract.summary(differences)}{f' (allowed: {ship.breaking})' if breaks else ''}"


def _present(name: str) -> str:
    path = weights.PROJECT / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _account(ship: Ship) -> str:
    """Whose token it is; makes the models that are missing, where CREATE asks for it."""
    client = replicate_api.connect()
    with replicate_api.explained("your account"):
        account = client.accounts.current()
    _ensure_model(client, ship, ship.target.name, ship.create)
    _ensure_model(client, ship, f"{ship.target.name}-staging", "private" if ship.create else "")
    return f", {account.username} on Replicate"


def _ensure_model(client: Any, ship: Ship, name: str, visibility: str) -> None:
    """https://replicate.com/docs/reference/http#models.create, with what the manifest says of it."""
    full = f"{ship.target.owner}/{name}"
    try:
        with replicate_api.explained(f"the model {full}"):
            client.models.get(ship.target.owner, name)
        return
    except ReplicateRefusal as refusal:
        if refusal.status != 404:
            raise
    if visibility not in ("public", "private"):
        raise Refused(
            f"{full} is not on Replicate: make push TO={ship.target.production} CREATE=private (or public) makes it, "
            f"and {ship.target.staging_model} beside it"
        )
    hardware = ship.model.hardware.replicate if ship.device == "cuda" else "cpu"
    with replicate_api.explained(f"the new model {full}"):
        client.models.create(
            ship.target.owner,
            name,
            visibility=visibility,
            hardware=hardware,
            description=ship.model.summary,
            license_url=ship.model.license.link,
            paper_url=_paper(ship.model.citation),
        )


def _paper(citation: str) -> str | None:
    found = re.search(r"https?://arxiv\.org/[^\s},]+", citation)
    return found[0] if found else None


def _live_schema(ship: Ship) -> tuple[str, dict[str, Any] | None]:
    """What callers rely on now: the live version's schema on Replicate; elsewhere that of the last promotion."""
    live = ledger.live(ship.entries, ship.target.production)
    if ship.target.is_replicate:
        return _live_on_replicate(ship, live.digest.removeprefix("sha256:") if live else "")
    if live:
        return f"{live.digest[:19]} of {live.time}", ledger.schema(live.schema_id)
    committed = committed_json(f"schemas/{ship.model.predictor_class}.json")
    return "the committed schema", committed


def _live_on_replicate(ship: Ship, version: str) -> tuple[str, dict[str, Any] | None]:
    client = replicate_api.connect()
    with replicate_api.explained(f"the model {ship.target.model}"):
        model = client.models.get(ship.target.owner, ship.target.name)
        if not version and model.latest_version is None:
            return "", None
        found = model.versions.get(version or model.latest_version.id)
    return f"{ship.target.model}:{found.id[:12]}", found.openapi_schema
