"""Where a model is released: the names of its production image and its staging image."""

import re
from dataclasses import dataclass

from scripts.cli.command import UsageError

REPLICATE = "r8.im"
_NAME = re.compile(r"(?P<registry>[^/\s]+)/(?P<owner>[a-z0-9._-]+(?:/[a-z0-9._-]+)*)/(?P<name>[a-z0-9._-]+)")


@dataclass(frozen=True)
class Target:
    """`registry`/`owner`/`name`. On Replicate staging is a model of its own, elsewhere the tag `staging`."""

    registry: str
    owner: str
    name: str

    @property
    def is_replicate(self) -> bool:
        return self.registry == REPLICATE

    @property
    def production(self) -> str:
        """The image's name without tag or digest."""
        return f"{self.registry}/{self.owner}/{self.name}"

    @property
    def staging(self) -> str:
        """The name of the staging image, which is pushed first."""
        return f"{self.production}-staging" if self.is_replicate else f"{self.production}:staging"

    @property
    def staging_repository(self) -> str:
        """`staging` without its tag."""
        return f"{self.production}-staging" if self.is_replicate else self.production

    @property
    def model(self) -> str:
        """OWNER/NAME, the model's name in Replicate's API."""
        return f"{self.owner}/{self.name}"

    @property
    def staging_model(self) -> str:
        """OWNER/NAME of the staging model on Replicate."""
        return f"{self.model}-staging"


def parse(to: str) -> Target:
    """The target that TO names.

    Raises:
        UsageError: it is not a REGISTRY/OWNER/MODEL.
    """
    found = _NAME.fullmatch(to)
    if not found:
        raise UsageError(
            "where to? make push TO=r8.im/OWNER/MODEL, or TO=REGISTRY/OWNER/MODEL, in lower case, without a tag"
        )
    return Target(found["registry"], found["owner"], found["name"])
