"""Shared fixtures of these tests."""

from collections.abc import Iterator

import pytest

from tests.services.hub import Hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub
