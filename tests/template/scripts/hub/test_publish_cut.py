"""A publish that is cut at each of its requests in turn: the next run continues, and nothing is duplicated."""

from typing import Literal

import pytest

from tests.services.http import Fault
from tests.template.scripts.hub.conftest import Published

REQUESTS = 12
CHANGING = {1: "/api/repos/create", 8: "/acme/tiny/", 10: "/commit/main"}
"""The requests that change something; a lost response to any other is like a request that never arrived."""
EVER = 1_000_000


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client does not wait between its tries here."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)


def is_whole(published: Published) -> bool:
    """Whether all files are present, from one commit."""
    titles = [commit.title for commit in published.api.list_repo_commits("acme/tiny")]
    files = published.files()
    return titles == ["Publish SmolLM2 135M Instruct", "initial commit"] and len(files) == 12 and all(files.values())


def test_a_publish_makes_as_many_requests_as_the_tests_below_cut(published: Published) -> None:
    assert published.publish() == 0
    assert len(published.hub.requests) == REQUESTS
    assert all(path in published.hub.requests[index].path for index, path in CHANGING.items())


@pytest.mark.parametrize(
    ("kind", "index"), [*(("dead", index) for index in range(REQUESTS)), *(("lost", index) for index in CHANGING)]
)
def test_an_interrupted_publish_continues(
    published: Published, capsys: pytest.CaptureFixture[str], kind: Literal["dead", "lost"], index: int
) -> None:
    """`dead`: from this request on, none arrives. `lost`: only its response and later requests are lost."""
    faults = published.hub.faults
    if kind == "lost":
        faults.append(Fault("", "lost", skip=index))
    faults.append(Fault("", "dead", skip=index + (kind == "lost"), times=EVER))
    assert published.publish() == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "cannot reach the Hub for acme/tiny" in line
    assert "run it again" in line
    faults.clear()
    assert published.publish() == 0
    assert is_whole(published)
    assert len(published.sent) == 1
