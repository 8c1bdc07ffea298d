"""On a machine without the tools for containers these tests are skipped with a reason; in CI they fail."""

import pytest

from . import host

MISSING = {
    "a running Docker engine": ("DOCKER_HOST", "unix:///nowhere.sock"),
    "the cog command": ("PATH", "/nowhere"),
}


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize(
    ("required", "outcome", "reason"),
    [
        ("", pytest.skip.Exception, "^this machine lacks "),
        ("required", pytest.fail.Exception, "^CONTAINER_TESTS=required, but this machine lacks "),
    ],
    ids=["skipped", "failed"],
)
def test_a_missing_tool_is_named(
    missing: str,
    required: str,
    outcome: type[BaseException],
    reason: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONTAINER_TESTS", required)
    monkeypatch.setenv(*MISSING[missing])
    with pytest.raises(outcome, match=reason + missing), host.engine(tmp_path_factory, "nobody"):
        pass
