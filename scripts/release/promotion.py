"""Promoting a digest to production without a rebuild, to the deployments one after another, and going back.

Production is a name: the model on Replicate (a version there is a digest) or a tag elsewhere. The same steps promote a
new digest and roll back to an old one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from models.errors import TemplateError
from scripts.release import ledger
from scripts.release.delivery import arrived, persistently, run_example, version_of
from scripts.release.ledger import Entry
from scripts.release.release import Refused, Release, Stuck, say
from scripts.replicate import client as replicate_api
from scripts.replicate.client import ReplicateRefusal, ask
from scripts.serving import docker_engine


def promote(release: Release, why: str = "") -> str:
    """Put the release's digest into production, then into each deployment, whose examples must hold before the next.

    Raises:
        Refused: it was never in staging, or a deployment failed and all of them went back.
        Stuck: something could not go back.
    """
    release.go_on_from(passed_staging(release))
    release.why = why
    before = ledger.live(release.entries, release.target.production)
    persistently(partial(_pull, release, release.digest))  # where this fails, nothing has to go back
    release.note("promote", "begun")
    moved: list[tuple[str, str]] = []
    try:
        _put(release, release.digest)
        for deployment in release.model.deployments if release.target.is_replicate else []:
            _move(release, deployment, moved, before)
    except TemplateError as error:
        went, stuck = _go_back(release, moved, before)
        raise (Stuck if stuck else Refused)(f"{error}; {went}") from error
    except BaseException:
        say(_go_back(release, moved, before)[0])
        raise
    deployments = f", {len(release.model.deployments)} deployments" if moved else ""
    return f"{release.target.production}@{release.digest} is live{deployments}{_newest(release, release.digest)}"


def _newest(release: Release, live: str) -> str:
    """What Replicate gives to callers who name no version, where that is another one than the digest that is live.

    A model there has a newest version, which neither a push of an older image nor anything else changes. What is live
    is live by now, so a Replicate that does not answer spoils nothing.
    """
    if not release.target.is_replicate:
        return ""
    client = replicate_api.connect()
    try:
        newest = ask(
            f"the model {release.target.model}", lambda: client.models.get(release.target.model)
        ).latest_version
    except ReplicateRefusal as refusal:
        return f"; {refusal}"
    if newest is None or newest.id == version_of(live):
        return ""
    return (
        f"; but {newest.id[:12]} stays the newest version of {release.target.model}, for callers who name no version "
        f"nor a deployment, until a newer one is promoted: https://replicate.com/{release.target.model}/versions"
    )


def passed_staging(release: Release) -> Entry:
    """The ledger's word that this digest passed staging; without a digest the last that did.

    Raises:
        Refused: there is none.
    """
    entry = ledger.passed(release.entries, "staging", release.target.production, digest=release.digest)
    if entry is None:
        what = release.digest or "nothing"
        raise Refused(
            f"{what} has passed staging for {release.target.production}: make push TO={release.target.production}"
        )
    return entry


def earlier(release: Release) -> Entry:
    """The last promotion of the release's digest; without one, of the digest that was live before the present one came.

    Going back forgets what came after. Where the last promotion was cut off, what was live before it is meant.

    Raises:
        Refused: there was none.
    """
    to = release.target.production
    tried = [entry for entry in release.entries if (entry.step, entry.to) == ("promote", to)]
    promoted = [entry for entry in tried if entry.result == "ok"]
    before: list[str] = []
    for entry in promoted:
        before = [*before[: before.index(entry.digest) if entry.digest in before else None], entry.digest]
    if tried and tried[-1].result in ("ok", "refused"):
        before = before[:-1]
    wanted = release.digest or (before[-1] if before else "")
    for entry in reversed(promoted):
        if entry.digest == wanted:
            return entry
    said = f"{release.digest} was never live" if release.digest else "nothing was live before the present one"
    raise Refused(f"{said} at {to}: make releases shows what was")


def _restore(release: Release, digest: str) -> None:
    """Give production the image of a digest again."""
    persistently(partial(_pull, release, digest))
    _put(release, digest)


def _put(release: Release, digest: str) -> None:
    """Give production the very image of a digest that was pulled; the registry must then say the same digest.

    Raises:
        Refused: it cannot be pushed, or arrives as another digest.
    """
    persistently(partial(_send, release))
    there = persistently(partial(arrived, f"{release.target.production}:latest"))
    if there != digest:
        raise Refused(f"{release.target.production} holds {there}, not {digest}: who else pushes there?")


def _pull(release: Release, digest: str) -> None:
    """Have the engine hold a digest of staging under production's name."""
    import docker

    try:
        with docker_engine.connected() as client:
            held = client.images.pull(f"{release.target.staging_repository}@{digest}")
            held.tag(release.target.production, "latest")
    except docker.errors.APIError as error:
        raise Refused(
            f"cannot pull {release.target.staging_repository}@{digest} ({error.explanation or error}): try again"
        ) from error


def _send(release: Release) -> None:
    """Push what the engine holds under production's name."""
    import docker

    try:
        with docker_engine.connected() as client:
            for line in client.images.push(release.target.production, "latest", stream=True, decode=True):
                if "error" in line:
                    raise Refused(f"cannot push to {release.target.production} ({line['error']}): try again")
    except docker.errors.APIError as error:
        raise Refused(
            f"cannot push to {release.target.production} ({error.explanation or error}): try again"
        ) from error


def _move(release: Release, deployment: str, moved: list[tuple[str, str]], before: Entry | None) -> None:
    """Move one deployment to the digest and run the examples through it; remembers what it ran before.

    A promotion that was cut off may have moved it already: what was live before is then what it ran.
    """
    client = replicate_api.connect()
    current = ask(f"the deployment {deployment}", lambda: client.deployments.get(deployment)).current_release
    if current is None:
        raise Refused(
            f"the deployment {deployment} has no release yet: see https://replicate.com/deployments/{deployment}"
        )
    runs = current.version
    version = version_of(release.digest)
    earlier = version_of(before.digest) if before and _was_cut_off(release, runs) else runs
    if earlier != version:
        moved.append((deployment, earlier))
    if runs != version:
        _set(client, deployment, version)
    for example in release.model.examples:
        run_example(client, example, deployment=deployment)
    release.note("deploy", "ok", where=deployment)
    say(f"  deployment {deployment} runs {version[:12]}")


def _was_cut_off(release: Release, version: str) -> bool:
    """Whether the promotion of a version was begun and never ended well."""
    tried = [entry for entry in release.entries if entry.step == "promote" and version_of(entry.digest) == version]
    return bool(tried) and all(entry.result != "ok" for entry in tried)


def _set(client: Any, deployment: str, version: str) -> None:
    owner, name = deployment.split("/")
    ask(f"the deployment {deployment}", lambda: client.deployments.update(owner, name, version=version))


def _go_back(release: Release, moved: list[tuple[str, str]], before: Entry | None) -> tuple[str, bool]:
    """Undo a promotion: deployments in reverse order, then production.

    What could be undone and what not, in words, and whether anything could not.
    """
    undone: list[str] = []
    stuck: list[str] = []
    for deployment, version in reversed(moved):
        failed = _tried(partial(_set, replicate_api.connect(), deployment, version))
        (stuck if failed else undone).append(f"{deployment} to {version[:12]}")
        release.note("deploy", "failed" if failed else "ok", where=deployment, why=f"back to {version[:12]}")
    if before and before.digest != release.digest:
        failed = _tried(partial(_restore, release, before.digest))
        (stuck if failed else undone).append(f"{release.target.production} to {before.digest[:19]}")
    if not before:
        undone.append(f"{release.target.production} to nothing else, since nothing was live before")
    said = f"went back: {', '.join(undone) or 'nothing had changed'}{_newest(release, before.digest) if before else ''}"
    if not stuck:
        return said, False
    again = f"make promote TO={release.target.production} DIGEST={before.digest if before else release.digest}"
    return f"{said}; COULD NOT go back: {', '.join(stuck)}; {again} tries again", True


def _tried(act: Callable[[], None]) -> bool:
    """Do it; whether it failed."""
    try:
        act()
    except Exception as error:
        say(f"  {' '.join(str(error).split())[:200]}")
        return True
    return False
