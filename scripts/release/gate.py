"""The first two stages, before anything is built: is all ready, and does the new contract break anyone?"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from models import runtimes, weights
from models.manifest import Manifest, path_of
from scripts.cli import repository
from scripts.contract import comparison, schema
from scripts.contract.difference import report, summary
from scripts.contract.meaning import undescribed
from scripts.licences import answers as licences
from scripts.release import ledger
from scripts.release.ship import Refused, Ship
from scripts.replicate import client as replicate_api
from scripts.replicate.client import ReplicateRefusal, ask


def ready(ship: Ship, rendered: Callable[[Manifest], Mapping[str, str]]) -> str:
    """A licence that allows it, rendered files current, nothing uncommitted, weights in place, a token, a model.

    `rendered`: gives what the rendered files should hold, by their paths.

    Raises:
        TemplateError: the first of these that does not hold.
    """
    if ship.model.license.id.strip().lower() in ("", "none", "unknown"):
        raise Refused(
            f"{path_of(ship.model.slug)} states no licence: name it under `license`, as the model's card does"
        )
    if ship.model.release:
        licences.require(ship.model)
    drifted = [name for name, text in rendered(ship.model).items() if _present(name) != text]
    if drifted:
        raise Refused(f"{', '.join(drifted)}: not as rendered: make render, and commit the result")
    if ship.commit == "none" and not ship.may_be_dirty:
        begin = "" if repository.exists() else "git init, "
        raise Refused(f"nothing is committed: {begin}git add --all and git commit first, or ship as it is with DIRTY=1")
    changed = repository.changed_files()
    if changed and not ship.may_be_dirty:
        shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
        raise Refused(f"not committed: {shown}: commit first, or ship as it is with DIRTY=1, which the ledger records")
    choice = ship.model.engine_on(ship.device)
    if ship.model.weights.delivery == "baked" and runtimes.is_ready(ship.model, choice):
        weights.verify(ship.model, runtimes.part_of(ship.model, choice), full=False)
    account = _account(ship) if ship.target.is_replicate else ""
    return f"licence {ship.model.license.id}, {'uncommitted changes' if ship.dirty else 'all committed'}{account}"


def compare(ship: Ship) -> str:
    """Compare the class's schema with what is live; a breaking difference needs a reason.

    Raises:
        Refused: it breaks callers; lists every difference and what to do instead.
    """
    new = schema.generate(schema.served_class(ship.model))
    found = {where: comparison.compare(old, new) for where, old in _live_schemas(ship).items()}
    silent = undescribed(new)
    told = f"; without a description, which is what a caller reads: {', '.join(silent)}" if silent else ""
    if not found:
        return f"nothing is live at {ship.target.production} yet, so nobody can break{told}"
    ship.details = {
        where: [f"{one.kind} {one.path}: {one.what}" for one in differences] for where, differences in found.items()
    }
    broken = [differences for differences in found.values() if any(one.kind == "breaking" for one in differences)]
    if broken and not ship.breaking:
        raise Refused(report(broken[0], silent).replace("TO=...", f"TO={ship.target.production}"))
    ship.why = ship.breaking if broken else ""
    said = "; ".join(f"against {where}: {summary(differences)}" for where, differences in found.items())
    return said + (f" (allowed: {ship.breaking})" if broken else "") + told


def _present(name: str) -> str:
    path = weights.PROJECT / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _account(ship: Ship) -> str:
    """Whose token it is; makes the models that are missing, where CREATE asks for it."""
    client = replicate_api.connect()
    account = ask("your account", client.accounts.current)
    _ensure_model(client, ship, ship.target.name, ship.create)
    _ensure_model(client, ship, f"{ship.target.name}-staging", "private" if ship.create else "")
    return f", {account.username} on Replicate"


def _ensure_model(client: Any, ship: Ship, name: str, visibility: str) -> None:
    full = f"{ship.target.owner}/{name}"
    try:
        ask(f"the model {full}", lambda: client.models.get(ship.target.owner, name))
    except ReplicateRefusal as refusal:
        if refusal.status != 404:
            raise
    else:
        return
    if visibility not in ("public", "private"):
        raise Refused(
            f"{full} is not on Replicate: make push TO={ship.target.production} CREATE=private (or public) makes it, "
            f"and {ship.target.staging_model} beside it"
        )
    _create_model(client, ship, name, visibility)


def _create_model(client: Any, ship: Ship, name: str, visibility: str) -> None:
    """https://replicate.com/docs/reference/http#models.create, with what the manifest says of it.

    Asked again after a cut connection, Replicate answers that it is there (409).
    """
    fields = {
        "visibility": visibility,
        "hardware": ship.model.hardware.replicate if ship.device == "cuda" else "cpu",
        "description": ship.model.summary,
        "license_url": ship.model.license.link,
        "paper_url": _paper(ship.model.citation),
    }
    try:
        ask(
            f"the new model {ship.target.owner}/{name}", lambda: client.models.create(ship.target.owner, name, **fields)
        )
    except ReplicateRefusal as refusal:
        if refusal.status != 409:
            raise


def _paper(citation: str | None) -> str | None:
    found = re.search(r"https?://arxiv\.org/[^\s},]+", citation or "")
    return found[0] if found else None


def _live_schemas(ship: Ship) -> dict[str, dict[str, Any]]:
    """What callers rely on now, by its name; where the ledger knows of no promotion, the committed contract."""
    live = ledger.live(ship.entries, ship.target.production)
    if ship.target.is_replicate:
        return _live_on_replicate(ship, live.digest.removeprefix("sha256:") if live else "")
    if live:
        return {f"{live.digest[:19]} of {live.time}": ledger.schema(live.schema_id)}
    return _committed_schema(f"schemas/{schema.served_class(ship.model)}.json")


def _committed_schema(path: str) -> dict[str, dict[str, Any]]:
    text = repository.committed(path)
    try:
        return {"the committed schema": json.loads(text)} if text is not None else {}
    except ValueError as error:
        raise Refused(f"{path} is no JSON in the last commit ({error}): make render, and commit the result") from error


def _live_on_replicate(ship: Ship, promoted: str) -> dict[str, dict[str, Any]]:
    """The promoted version, which deployments run, and the newest, which callers get who name none.

    They differ after a rollback, and where someone else pushes; a version that was deleted breaks nobody.
    """
    client = replicate_api.connect()
    what = f"the model {ship.target.model}"
    model = ask(what, lambda: client.models.get(ship.target.owner, ship.target.name))
    found = [model.latest_version] if model.latest_version else []
    if promoted and promoted not in [version.id for version in found]:
        try:
            found.append(ask(what, lambda: model.versions.get(promoted)))
        except ReplicateRefusal as refusal:
            if refusal.status != 404:
                raise
    return {f"{ship.target.model}:{version.id[:12]}": version.openapi_schema for version in found}
