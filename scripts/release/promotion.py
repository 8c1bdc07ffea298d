"""Promoting a digest to production without a rebuild, to the deployments one after another, and going back.

Production is a name: the model on Replicate (a version there is a digest) or a tag elsewhere. The same steps promote a
new digest and roll back to an old one.
"""

from collections.abc import Callable
from typing import Any

from models.errors import TemplateError
from scripts.release import ledger
from scripts.release.delivery import arrived, run_example, version_of
from scripts.release.ledger import Entry
from scripts.release.ship import Refused, Ship, say
from scripts.replicate import client as replicate_api


def promote(ship: Ship, why: str = "") -> str:
    """Put the ship's digest into production, then into each deployment, whose examples must hold before the next.

    Raises:
        Refused: it was never in staging, or a deployment failed and all of them went back.
    """
    entry = passed_staging(ship)
    ship.why = why
    ship.content, ship.schema_id = entry.content, entry.schema_id
    before = ledger.live(ship.entries, ship.target.production)
    copy(ship, ship.digest)
    moved: list[tuple[str, str]] = []
    try:
        for deployment in ship.model.deployments if ship.target.is_replicate else []:
            _move(ship, deployment, moved, before)
    except TemplateError as error:
        raise Refused(f"{error}; {_go_back(ship, moved, before)}") from error
    except BaseException:
        say(_go_back(ship, moved, before))
        raise
    deployments = f", {len(ship.model.deployments)} deployments" if moved else ""
    return f"{ship.target.production}@{ship.digest} is live{deployments}{_newest(ship)}"


def _newest(ship: Ship) -> str:
    """What Replicate gives to callers who name no version, where that is another one than is live now.

    A model there has a newest version, which neither a push of an older image nor anything else changes.
    """
    if not ship.target.is_replicate:
        return ""
    client = replicate_api.connect()
    with replicate_api.explained(f"the model {ship.target.model}"):
        newest = client.models.get(ship.target.model).latest_version
    if newest is None or newest.id == version_of(ship.digest):
        return ""
    return (
        f"; but {newest.id[:12]} stays the newest version of {ship.target.model}, for callers who name no version "
        f"nor a deployment, until a newer one is promoted: https://replicate.com/{ship.target.model}/versions"
    )


def passed_staging(ship: Ship) -> Entry:
    """The ledger's word that this digest passed staging; without a digest the last that did.

    Raises:
        Refused: there is none.
    """
    entry = ledger.passed(ship.entries, ship.target.production, "staging", digest=ship.digest)
    if entry is None:
        what = ship.digest or "nothing"
        raise Refused(f"{what} has passed staging for {ship.target.production}: make push TO={ship.target.production}")
    ship.digest = entry.digest
    return entry


def earlier(ship: Ship) -> Entry:
    """The last promotion of the ship's digest; without one, of the digest that was live before the present one came.

    Raises:
        Refused: there was none.
    """
    to = ship.target.production
    promoted = [entry for entry in ship.entries if (entry.step, entry.result, entry.to) == ("promote", "ok", to)]
    digests = list(dict.fromkeys(entry.digest for entry in promoted))
    before = digests[: digests.index(promoted[-1].digest)] if promoted else []
    wanted = ship.digest or (before[-1] if before else "")
    for entry in reversed(promoted):
        if entry.digest == wanted:
            return entry
    said = f"{ship.digest} was never live" if ship.digest else "nothing was live before the present one"
    raise Refused(f"{said} at {to}: make releases shows what was")


def copy(ship: Ship, digest: str) -> None:
    """Give production the very image of a digest that staging holds; the registry must then say the same digest.

    Raises:
        Refused: it cannot be pulled or pushed, or arrives as another digest.
    """
    import docker

    client = docker.from_env()
    try:
        held = client.images.pull(f"{ship.target.staging_repository}@{digest}")
        held.tag(ship.target.production, "latest")
        for line in client.images.push(ship.target.production, "latest", stream=True, decode=True):
            if "error" in line:
                raise Refused(f"cannot push to {ship.target.production} ({line['error']}): try again")
    except docker.errors.APIError as error:
        raise Refused(f"cannot bring {digest} to {ship.target.production} ({error.explanation or error})") from error
    finally:
        client.close()
    there = arrived(f"{ship.target.production}:latest")
    if there != digest:
        raise Refused(f"{ship.target.production} holds {there}, not {digest}: who else pushes there?")


def _move(ship: Ship, deployment: str, moved: list[tuple[str, str]], before: Entry | None) -> None:
    """Move one deployment to the digest and run the examples through it; remembers what it ran before.

    A promotion that was cut off here may have moved it already: what was live before is then what it ran.
    """
    client = replicate_api.connect()
    with replicate_api.explained(f"the deployment {deployment}"):
        runs = client.deployments.get(deployment).current_release
    version = version_of(ship.digest)
    earlier = runs.version if runs.version != version else version_of(before.digest) if before else version
    if earlier != version:
        moved.append((deployment, earlier))
    if runs.version != version:
        _set(client, deployment, version)
    for example in ship.model.examples:
        run_example(client, example, deployment=deployment)
    ship.note("deploy", "ok", where=deployment)
    say(f"  deployment {deployment} runs {version[:12]}")


def _set(client: Any, deployment: str, version: str) -> None:
    owner, name = deployment.split("/")

    def update() -> None:
        with replicate_api.explained(f"the deployment {deployment}"):
            client.deployments.update(owner, name, version=version)

    replicate_api.patiently(update)


def _go_back(ship: Ship, moved: list[tuple[str, str]], before: Entry | None) -> str:
    """Undo a promotion: deployments in reverse order, then production; says what could be undone and what not."""
    undone: list[str] = []
    stuck: list[str] = []
    client = replicate_api.connect()
    for deployment, version in reversed(moved):
        failed = _tried(lambda deployment=deployment, version=version: _set(client, deployment, version))  # type: ignore[misc]
        (stuck if failed else undone).append(f"{deployment} to {version[:12]}")
        ship.note("deploy", "failed" if failed else "ok", where=deployment, why=f"back to {version[:12]}")
    if before and before.digest != ship.digest:
        failed = _tried(lambda: copy(ship, before.digest))
        (stuck if failed else undone).append(f"{ship.target.production} to {before.digest[:19]}")
    said = f"went back: {', '.join(undone) or 'nothing had changed'}"
    return f"{said}; COULD NOT go back: {', '.join(stuck)}; make rollback tries again" if stuck else said


def _tried(act: Callable[[], None]) -> bool:
    """Do it; whether it failed."""
    try:
        act()
    except Exception as error:
        say(f"  {' '.join(str(error).split())[:200]}")
        return True
    return False
