"""Says what is not tested here, and how two processes share the tests."""

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from models import manifest

KINDS = ("slow", "container")
"""The markers of what `make test` leaves out."""
_left_out = pytest.StashKey[list[int]]()


class _ByFile(LoadFileScheduling):
    """Each process takes a file at a time, and one of them all container tests: they share Docker's images."""

    def _split_scope(self, nodeid: str) -> str:
        return "containers" if "container" in nodeid.partition("::")[0] else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    return _ByFile(config, log)


def pytest_report_header() -> list[str]:
    """Where a fork removed the example model, the tests of the template are left out."""
    is_there = "smollm2-135m-instruct" in manifest.slugs()
    return [] if is_there else ["tests/template is left out: smollm2-135m-instruct, with which it tests, was removed"]


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count what the markers leave out."""
    for item in items:
        counts = item.config.stash.setdefault(_left_out, [0, 0])
        for index, kind in enumerate(KINDS):
            counts[index] += item.get_closest_marker(kind) is not None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process that xdist started tells the first one what it counted."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_left_out, [0, 0])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every process has collected the same tests: one of them is enough."""
    node.config.stash[_left_out] = getattr(node, "workeroutput", {}).get("left_out", [0, 0])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in one line what the markers left out."""
    slow, container = config.stash.get(_left_out, [0, 0])
    if slow or container:
        terminalreporter.line(f"left out: {slow} slow tests and {container} of containers; make test-all runs them too")
