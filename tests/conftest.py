"""Reports which tests are left out, and decides how several processes share the tests."""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from models import manifest, runtimes

KINDS = ("slow", "container")
"""The markers of the tests that `make test` leaves out."""
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
"""Several processes share the cores. By default torch's threads wait for each other in a loop, which takes the core
from the thread that they wait for."""
if not runtimes.has_cuda_device():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # Triton's kernels run on the CPU, slowly; read when it is imported
_left_out = pytest.StashKey[list[int]]()


class ByFile(LoadFileScheduling):
    """Each process takes a file at a time.

    One takes all tests of containers of the project's own image, which they share, and of images with torch, which
    would together fill a disk; one takes the releases of forks.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if "container" not in file and "test_your_model" not in file:
            return super()._split_scope(nodeid)
        return "releases" if any(f"/test_{name}" in file for name in ("release", "push", "publish")) else "containers"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first, so that no process waits for the other one's last file."""
    items.sort(key=lambda item: not any(name in item.nodeid for name in ("/container/", "/server/", "tests/fork/")))


def pytest_report_header() -> list[str]:
    """Say that the template's tests are left out, if a fork removed the example model."""
    is_there = "smollm2-135m-instruct" in manifest.slugs()
    return [] if is_there else ["tests/template is left out: smollm2-135m-instruct, with which it tests, was removed"]


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count the tests that the markers leave out."""
    for item in items:
        counts = item.config.stash.setdefault(_left_out, [0, 0])
        for index, kind in enumerate(KINDS):
            counts[index] += item.get_closest_marker(kind) is not None


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the counts of an xdist process to the first process."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_left_out, [0, 0])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the counts of one process: every process has collected the same tests."""
    node.config.stash[_left_out] = getattr(node, "workeroutput", {}).get("left_out", [0, 0])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Report in one line the tests that the markers left out."""
    slow, container = config.stash.get(_left_out, [0, 0])
    if slow or container:
        terminalreporter.line(f"left out: {slow} slow tests and {container} of containers; make test-all runs them too")
