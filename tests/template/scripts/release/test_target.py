"""The target of a release."""

import pytest

from scripts.cli.command import UsageError
from scripts.release.target import parse


def test_on_replicate_staging_is_a_second_model() -> None:
    target = parse("r8.im/acme/smollm2")
    assert target.is_replicate
    assert (target.production, target.model) == ("r8.im/acme/smollm2", "acme/smollm2")
    assert (target.staging, target.staging_model) == ("r8.im/acme/smollm2-staging", "acme/smollm2-staging")
    assert target.staging_repository == target.staging


@pytest.mark.parametrize("to", ["127.0.0.1:5055/acme/x", "ghcr.io/acme/team/x_1.0", "registry.example/a/b"])
def test_in_other_registries_staging_is_a_tag(to: str) -> None:
    target = parse(to)
    assert not target.is_replicate
    assert target.production == target.staging_repository == to
    assert target.staging == f"{to}:staging"


@pytest.mark.parametrize(
    "to",
    [
        "",
        "x",
        "acme/x",
        "r8.im/acme/",
        "r8.im//x",
        "r8.im/acme/x:1",
        "r8.im/Acme/x",
        "r8.im/acme/x y",
        "r8.im/acme/x@1",
    ],
)
def test_anything_else_is_wrong_usage(to: str) -> None:
    with pytest.raises(UsageError, match="where to"):
        parse(to)
