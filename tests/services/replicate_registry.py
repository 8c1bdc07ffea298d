"""A model's versions, read from the real registry: a version's id is the digest of a pushed image.

https://replicate.com/docs/reference/http#models.versions.list; the registry's own routes:
https://distribution.github.io/distribution/spec/api/
"""

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from jsonschema import Draft7Validator

from .replicate_http import timestamp

_MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)


@dataclass
class Version:
    """One pushed image. `id`: its digest without "sha256:"."""

    model: str
    id: str
    created_at: str
    cog_version: str | None
    openapi_schema: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "created_at": self.created_at,
            "cog_version": self.cog_version,
            "openapi_schema": self.openapi_schema,
        }

    @property
    def streams(self) -> bool:
        """Whether the image's own server streams: its class is marked @cog.streaming."""
        predict = self.openapi_schema.get("paths", {}).get("/predictions", {}).get("post", {})
        return bool(predict.get("x-cog-streaming"))

    def refusals(self, inputs: dict[str, Any]) -> list[tuple[str, str]]:
        """The faults of an input, as (field, message), by the version's own schema and nothing else."""
        components = self.openapi_schema.get("components", {})
        schema = _json_schema({"$ref": "#/components/schemas/Input", "components": components})
        errors = Draft7Validator(schema).iter_errors(inputs)
        return [(".".join(map(str, ["input", *error.absolute_path])), error.message) for error in errors]


@dataclass
class Repository:
    """The versions of one model, oldest first, in the order in which they were first seen in the registry.

    An image that loses its tag to another one before a refresh is never seen: a registry lists tags, not digests.
    """

    registry: str
    name: str
    versions: list[Version] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def refresh(self) -> list[Version]:
        """Update the versions: add new tags, and forget digests that the registry no longer serves."""
        with self._lock, httpx.Client(base_url=f"http://{self.registry}/v2/{self.name}", timeout=30) as client:
            self.versions = [version for version in self.versions if self._digest(client, f"sha256:{version.id}")]
            known = {version.id for version in self.versions}
            new = dict.fromkeys(digest for tag in self._tags(client) if (digest := self._digest(client, tag)))
            images = [(self._image(client, f"sha256:{id}"), id) for id in new if id not in known]
            for image, id in sorted(images, key=lambda found: found[0].get("created", "")):
                self.versions.append(self._version(image, id))
            return list(self.versions)

    def _tags(self, client: httpx.Client) -> list[str]:
        response = client.get("/tags/list")
        return (response.json()["tags"] or []) if response.status_code == 200 else []

    def _digest(self, client: httpx.Client, reference: str) -> str | None:
        response = client.head(f"/manifests/{reference}", headers={"Accept": ", ".join(_MANIFESTS)})
        return response.headers["Docker-Content-Digest"].removeprefix("sha256:") if response.is_success else None

    def _image(self, client: httpx.Client, reference: str) -> dict[str, Any]:
        """The image's configuration; for an index, that of its first image."""
        response = client.get(f"/manifests/{reference}", headers={"Accept": ", ".join(_MANIFESTS)})
        manifest = response.raise_for_status().json()
        if "manifests" in manifest:
            return self._image(client, manifest["manifests"][0]["digest"])
        image: dict[str, Any] = client.get(f"/blobs/{manifest['config']['digest']}").raise_for_status().json()
        return image

    def _version(self, image: dict[str, Any], id: str) -> Version:
        labels = image.get("config", {}).get("Labels") or {}
        schema = json.loads(labels.get("run.cog.openapi_schema", "{}"))
        return Version(self.name, id, timestamp(time.time()), labels.get("run.cog.version"), schema)


def _json_schema(node: Any) -> Any:
    """Rewrite OpenAPI 3.0's `nullable` for JSON Schema; everything else means the same in both."""
    if isinstance(node, list):
        return [_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    converted = {key: _json_schema(value) for key, value in node.items()}
    if node.get("nullable") is not True:
        return converted
    if isinstance(node.get("type"), str):
        return converted | {"type": [node["type"], "null"]}
    return {"anyOf": [converted, {"type": "null"}]}
