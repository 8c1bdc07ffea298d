"""The first two stages, before anything is built: is everything ready, and does the new contract break callers?"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from models import runtimes, weights
from models.manifest import PROJECT, Manifest, path_of
from scripts.cli import repository
from scripts.contract import comparison, schema
from scripts.contract.difference import report, summary
from scripts.contract.meaning import undescribed
from scripts.hardware import fit
from scripts.licences import answers as licences
from scripts.release import ledger
from scripts.release.release import Refused, Release
from scripts.replicate import client as replicate_api
from scripts.replicate.client import ReplicateRefusal, ask


def ready(release: Release, rendered: Callable[[Manifest], Mapping[str, str]]) -> str:
    """Check the licence, rendered files, uncommitted changes, weights, the token, and the model on Replicate.

    `rendered`: returns the expected content of the rendered files, by path.

    Raises:
        TemplateError: the first check that fails.
    """
    if release.model.license.id.strip().lower() in ("", "none", "unknown"):
        raise Refused(
            f"{path_of(release.model.slug)} states no licence: name it under `license`, as the model's card does"
        )
    if release.model.release:
        licences.require(release.model)
    drifted = [name for name, text in rendered(release.model).items() if _present(name) != text]
    if drifted:
        raise Refused(f"{', '.join(drifted)}: not as rendered: make render, and commit the result")
    if release.commit == "none" and not release.may_be_dirty:
        begin = "" if repository.exists() else "git init, "
        raise Refused(
            f"nothing is committed: {begin}git add --all and git commit first, or release it anyway with DIRTY=1"
        )
    changed = repository.changed_files()
    if changed and not release.may_be_dirty:
        shown = ", ".join(changed[:5]) + (", ..." if len(changed) > 5 else "")
        raise Refused(
            f"not committed: {shown}: commit first, or release it anyway with DIRTY=1, which the ledger records"
        )
    choice = release.model.engine_on(release.device)
    if release.target.is_replicate and (why := fit.refusal(release.model, choice, fit.facts_of(release.model))):
        raise Refused(why)
    if release.model.weights.delivery == "baked" and runtimes.is_ready(release.model, choice):
        weights.verify(release.model, runtimes.part_of(release.model, choice), full=False)
    account = _account(release) if release.target.is_replicate else ""
    return f"licence {release.model.license.id}, {'uncommitted changes' if release.dirty else 'all committed'}{account}"


def compare(release: Release) -> str:
    """Compare the class's schema with the live one; a breaking difference needs a reason.

    Raises:
        Refused: it breaks callers; lists every difference and what to do instead.
    """
    new = schema.generate(schema.served_class(release.model))
    found = {where: comparison.compare(old, new) for where, old in _live_schemas(release).items()}
    silent = undescribed(new)
    remark = f"; without a description, which callers read: {', '.join(silent)}" if silent else ""
    if not found:
        return f"nothing is live at {release.target.production} yet, so no caller can break{remark}"
    release.details = {
        where: [f"{one.kind} {one.path}: {one.what}" for one in differences] for where, differences in found.items()
    }
    broken = [differences for differences in found.values() if any(one.kind == "breaking" for one in differences)]
    if broken and not release.breaking:
        raise Refused(report(broken[0], silent).replace("TO=...", f"TO={release.target.production}"))
    release.why = release.breaking if broken else ""
    result = "; ".join(f"against {where}: {summary(differences)}" for where, differences in found.items())
    return result + (f" (allowed: {release.breaking})" if broken else "") + remark


def _present(name: str) -> str:
    path = PROJECT / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _account(release: Release) -> str:
    """The token's account, as text; creates missing models if CREATE asks for it."""
    client = replicate_api.connect()
    account = ask("your account", client.accounts.current)
    _ensure_model(client, release, release.target.name, release.create)
    _ensure_model(client, release, f"{release.target.name}-staging", "private" if release.create else "")
    return f", {account.username} on Replicate"


def _ensure_model(client: Any, release: Release, name: str, visibility: str) -> None:
    full = f"{release.target.owner}/{name}"
    try:
        ask(f"the model {full}", lambda: client.models.get(release.target.owner, name))
    except ReplicateRefusal as refusal:
        if refusal.status != 404:
            raise
    else:
        return
    if visibility not in ("public", "private"):
        raise Refused(
            f"{full} is not on Replicate: make push TO={release.target.production} CREATE=private (or public) "
            f"makes it, and {release.target.staging_model} beside it"
        )
    _create_model(client, release, name, visibility)


def _create_model(client: Any, release: Release, name: str, visibility: str) -> None:
    """Create the model with the manifest's facts: https://replicate.com/docs/reference/http#models.create

    A second request after a broken connection is answered with 409, because the model exists.
    """
    fields = {
        "visibility": visibility,
        "hardware": release.model.hardware.replicate if release.device == "cuda" else "cpu",
        "description": release.model.summary,
        "license_url": release.model.license.link,
        "paper_url": _paper(release.model.citation),
    }
    try:
        ask(
            f"the new model {release.target.owner}/{name}",
            lambda: client.models.create(release.target.owner, name, **fields),
        )
    except ReplicateRefusal as refusal:
        if refusal.status != 409:
            raise


def _paper(citation: str | None) -> str | None:
    found = re.search(r"https?://arxiv\.org/[^\s},]+", citation or "")
    return found[0] if found else None


def _live_schemas(release: Release) -> dict[str, dict[str, Any]]:
    """The live contracts by name; the committed contract if the ledger has no promotion."""
    live = ledger.live(release.entries, release.target.production)
    if release.target.is_replicate:
        return _live_on_replicate(release, live.digest.removeprefix("sha256:") if live else "")
    if live:
        return {f"{live.digest[:19]} of {live.time}": ledger.schema(live.schema_id)}
    return _committed_schema(f"schemas/{schema.served_class(release.model)}.json")


def _committed_schema(path: str) -> dict[str, dict[str, Any]]:
    text = repository.committed(path)
    try:
        return {"the committed schema": json.loads(text)} if text is not None else {}
    except ValueError as error:
        raise Refused(f"{path} is not JSON in the last commit ({error}): make render, and commit the result") from error


def _live_on_replicate(release: Release, promoted: str) -> dict[str, dict[str, Any]]:
    """The promoted version, which deployments run, and the newest, which callers get if they do not name one.

    They differ after a rollback, or if someone else pushes. A deleted version is skipped: it has no callers.
    """
    client = replicate_api.connect()
    what = f"the model {release.target.model}"
    model = ask(what, lambda: client.models.get(release.target.owner, release.target.name))
    found = [model.latest_version] if model.latest_version else []
    if promoted and promoted not in [version.id for version in found]:
        try:
            found.append(ask(what, lambda: model.versions.get(promoted)))
        except ReplicateRefusal as refusal:
            if refusal.status != 404:
                raise
    return {f"{release.target.model}:{version.id[:12]}": version.openapi_schema for version in found}
