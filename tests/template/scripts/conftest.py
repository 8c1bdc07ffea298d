"""The local Replicate instead of the real one."""

from collections.abc import Iterator

import pytest

from tests.services.scripted_replicate import ScriptedReplicate


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedReplicate]:
    """The Replicate that commands call here; each test adds the models and scripts the predictions."""
    with ScriptedReplicate() as started:
        monkeypatch.setenv("REPLICATE_BASE_URL", started.address)
        monkeypatch.setenv("REPLICATE_API_TOKEN", started.token)
        yield started
