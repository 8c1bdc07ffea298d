"""python -m scripts.status [OWNER/NAME] [--json]

Shows what is live on Replicate: the model, its versions, the account's deployments of it, and the results of its last
predictions. Without a name: the model that was last released to r8.im, from the ledger in releases/.
"""

import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from scripts.calling.remote import get
from scripts.cli import command, console
from scripts.cli.command import UsageError
from scripts.release import ledger
from scripts.release.target import REPLICATE
from scripts.replicate.client import connect

_VERSIONS_SHOWN = 10
_FINISHED = ("succeeded", "failed")


def main(argv: list[str]) -> int:
    return command.run(status, argv, "scripts.status")


def status(
    name: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="by default the last released one")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Show what is live on Replicate."""
    found = collect(connect(), _checked(name.removeprefix(f"{REPLICATE}/") or last_released()))
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        _show(found)


def last_released() -> str:
    """OWNER/NAME of the last entry for Replicate in any ledger.

    Raises:
        UsageError: there is none.
    """
    slugs = [path.stem for path in ledger.FOLDER.glob("*.jsonl")]
    entries = [entry for slug in slugs for entry in ledger.read(slug) if entry.to.startswith(f"{REPLICATE}/")]
    if not entries:
        raise UsageError("which model? Nothing was released to r8.im from here yet: name it, as OWNER/NAME")
    return max(entries, key=lambda entry: entry.time).to.removeprefix(f"{REPLICATE}/")


def collect(client: Any, name: str) -> dict[str, Any]:
    """Replicate's facts about a model; times as Replicate writes them, seconds of predict().

    Raises:
        ReplicateRefusal: there is no such model, or the token may not see it.
    """
    what = f"the model {name}"
    model = get(client, f"/v1/models/{name}", what)
    versions = list(_listed(client, f"/v1/models/{name}/versions", what))
    deployments = list(_listed(client, "/v1/deployments", "the deployments"))
    predictions = get(client, "/v1/predictions", "the predictions")["results"]
    return {
        "model": {"name": name} | {key: model.get(key) for key in ("url", "visibility", "run_count")},
        "versions": [{key: one.get(key) for key in ("id", "created_at", "cog_version")} for one in versions],
        "deployments": [_deployment(one) for one in deployments if _runs(one, name)],
        "predictions": summary([one for one in predictions if one.get("model") == name]),
    }


def summary(predictions: list[dict[str, Any]]) -> dict[str, Any]:
    """The count, the share of failures among finished ones, and the median and 95th percentile of their seconds."""
    ended = [one for one in predictions if one["status"] in _FINISHED]
    failed = sum(one["status"] == "failed" for one in ended)
    times = [(one.get("metrics") or {}).get("predict_time") for one in ended if one["status"] == "succeeded"]
    seconds = sorted(float(time) for time in times if time is not None)
    return {
        "count": len(predictions),
        "failed": failed,
        "error_rate": failed / len(ended) if ended else None,
        "median_seconds": statistics.median(seconds) if seconds else None,
        "p95_seconds": seconds[math.ceil(0.95 * len(seconds)) - 1] if seconds else None,
    }


def _checked(name: str) -> str:
    if name.count("/") != 1 or not all(name.split("/")):
        raise UsageError(f"{name!r} is not a model of Replicate: write OWNER/NAME")
    return name


def _listed(client: Any, path: str, what: str) -> Iterator[dict[str, Any]]:
    """Every item of a paginated list."""
    following: str | None = path
    while following:
        page = get(client, following, what)
        yield from page["results"]
        following = page.get("next")


def _runs(deployment: dict[str, Any], name: str) -> bool:
    return (deployment.get("current_release") or {}).get("model") == name


def _deployment(deployment: dict[str, Any]) -> dict[str, Any]:
    release = deployment["current_release"]
    found = {"name": f"{deployment['owner']}/{deployment['name']}", "release": release["number"]}
    found |= {"version": release["version"], "since": release["created_at"]}
    return {**found, **release["configuration"]}


def _show(found: dict[str, Any]) -> None:
    output, model = console.stdout(), found["model"]
    output.print(f"{model['name']} · {model['visibility']} · {model['run_count']} runs · {model['url']}")
    shown = found["versions"][:_VERSIONS_SHOWN]
    rows = [(_short(one["id"]), _minute(one["created_at"]), one["cog_version"] or "-") for one in shown]
    output.print(_table("versions, the newest first", ("id", "created", "cog"), rows))
    if len(found["versions"]) > len(shown):
        output.print(f"and {len(found['versions']) - len(shown)} more: --json lists them all")
    live = [
        (
            one["name"],
            _short(one["version"]),
            str(one["hardware"]),
            f"{one['min_instances']} to {one['max_instances']}",
            str(one["release"]),
        )
        for one in found["deployments"]
    ]
    output.print(_table("deployments", ("name", "version", "hardware", "instances", "release"), live))
    output.print(_predictions(found["predictions"]))


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Any:
    from rich.table import Table

    if not rows:
        return f"no {title.partition(',')[0]}"
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _predictions(found: dict[str, Any]) -> str:
    if not found["count"]:
        return "no predictions of it among the account's last 100"
    parts = [f"{found['count']} of the account's last 100 predictions"]
    parts += [] if found["error_rate"] is None else [f"{found['error_rate']:.0%} failed"]
    if found["median_seconds"] is not None:
        parts.append(f"median {found['median_seconds']:.3g} s, 95% within {found['p95_seconds']:.3g} s")
    return " · ".join(parts)


def _short(id: str) -> str:
    return id[:12]


def _minute(time: str) -> str:
    """2024-02-15T16:32:57.018467Z becomes 2024-02-15 16:32."""
    return time[:16].replace("T", " ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
