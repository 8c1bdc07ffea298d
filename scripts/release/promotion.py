"""Promotes a digest to production without a rebuild, then to the deployments one after another, and goes back.

Production is a name: the model on Replicate (where a version is a digest) or a tag elsewhere. The same steps promote a
new digest and roll back to an old one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from models.errors import TemplateError
from scripts.release import ledger
from scripts.release.delivery import arrived, retry_any_refusal, run_example, version_of
from scripts.release.ledger import Entry
from scripts.release.release import Refused, Release, Stuck, say
from scripts.replicate import client as replicate_api
from scripts.replicate.client import ReplicateRefusal, ask
from scripts.serving import docker_engine


def promote(release: Release, why: str = "") -> str:
    """Put the release's digest into production, then into one deployment after another, testing each with the examples.

    Raises:
        Refused: it was never in staging, or a deployment failed and all were rolled back.
        Stuck: something could not be rolled back.
    """
    release.continue_from(passed_staging(release))
    release.why = why
    before = ledger.live(release.entries, release.target.production)
    retry_any_refusal(partial(_pull, release, release.digest))  # if this fails, nothing needs to be rolled back
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
    """A remark if callers who name no version get another version than the live digest from Replicate.

    They get the newest version, and a push of an older image does not change which one that is. The promotion is
    complete by now, so it does not fail if Replicate does not answer.
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
        f"; but {newest.id[:12]} stays the newest version of {release.target.model}, for callers who name neither a "
        f"version nor a deployment, until a newer one is promoted: https://replicate.com/{release.target.model}/versions"
    )


def passed_staging(release: Release) -> Entry:
    """The ledger's entry that this digest passed staging, or without a digest, the last such entry.

    Raises:
        Refused: there is none.
    """
    entry = ledger.passed(release.entries, "staging", release.target.production, digest=release.digest)
    if entry is None:
        what = f"{release.digest} has not" if release.digest else "nothing has"
        raise Refused(
            f"{what} passed staging for {release.target.production}: make push TO={release.target.production}"
        )
    return entry


def earlier(release: Release) -> Entry:
    """The last promotion of the release's digest; without a digest, of the one that was live before the current one.

    A rollback discards the promotions after its digest. If the last promotion was interrupted, the digest that was
    live before it is returned.

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
    problem = f"{release.digest} was never live" if release.digest else "nothing was live before the current one"
    raise Refused(f"{problem} at {to}: make releases shows what was")


def _restore(release: Release, digest: str) -> None:
    """Put the image of a digest into production again."""
    retry_any_refusal(partial(_pull, release, digest))
    _put(release, digest)


def _put(release: Release, digest: str) -> None:
    """Push the pulled image to production; the registry must then report the same digest.

    Raises:
        Refused: it cannot be pushed, or arrives as another digest.
    """
    retry_any_refusal(partial(_send, release))
    found = retry_any_refusal(partial(arrived, f"{release.target.production}:latest"))
    if found != digest:
        raise Refused(f"{release.target.production} has {found}, not {digest}: does somebody else push there?")


def _pull(release: Release, digest: str) -> None:
    """Pull a digest from staging, and tag it with production's name."""
    import docker

    try:
        with docker_engine.connected() as client:
            pulled = client.images.pull(f"{release.target.staging_repository}@{digest}")
            pulled.tag(release.target.production, "latest")
    except docker.errors.APIError as error:
        raise Refused(
            f"cannot pull {release.target.staging_repository}@{digest} ({error.explanation or error}): try again"
        ) from error


def _send(release: Release) -> None:
    """Push the image that has production's name."""
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
    """Move one deployment to the digest and run the examples on it; adds the version that it ran before to `moved`.

    An interrupted promotion may have moved it already; then it ran what was live before.
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
    """Whether the promotion of a version began and never succeeded."""
    tried = [entry for entry in release.entries if entry.step == "promote" and version_of(entry.digest) == version]
    return bool(tried) and all(entry.result != "ok" for entry in tried)


def _set(client: Any, deployment: str, version: str) -> None:
    owner, name = deployment.split("/")
    ask(f"the deployment {deployment}", lambda: client.deployments.update(owner, name, version=version))


def _go_back(release: Release, moved: list[tuple[str, str]], before: Entry | None) -> tuple[str, bool]:
    """Undo a promotion: deployments in reverse order, then production.

    Returns what could and could not be undone, as text, and whether anything could not.
    """
    undone: list[str] = []
    stuck: list[str] = []
    for deployment, version in reversed(moved):
        is_back = _try(partial(_set, replicate_api.connect(), deployment, version))
        (undone if is_back else stuck).append(f"{deployment} to {version[:12]}")
        release.note("deploy", "ok" if is_back else "failed", where=deployment, why=f"back to {version[:12]}")
    if before and before.digest != release.digest:
        is_back = _try(partial(_restore, release, before.digest))
        (undone if is_back else stuck).append(f"{release.target.production} to {before.digest[:19]}")
    kept = f"; {release.target.production} keeps what was pushed to it, since nothing was live before"
    text = f"went back: {', '.join(undone) or 'nothing'}{_newest(release, before.digest) if before else kept}"
    if not stuck:
        return text, False
    again = f"make promote TO={release.target.production} DIGEST={before.digest if before else release.digest}"
    return f"{text}; COULD NOT go back: {', '.join(stuck)}; {again} tries again", True


def _try(act: Callable[[], None]) -> bool:
    """Whether `act` succeeded; if not, its error is shown."""
    try:
        act()
    except Exception as error:
        say(f"  {' '.join(str(error).split())[:200]}")
        return False
    return True
