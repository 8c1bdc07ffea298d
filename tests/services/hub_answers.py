"""The local Hub: reading requests, and the forms of its responses."""

import json
from urllib.parse import parse_qs, urlsplit

from tests.services.http_messages import Request, Response
from tests.services.hub_repository import Blob


def small(blob: Blob, commit: str, path: str) -> Response:
    """A file that the Hub itself serves; its ETag is its git blob id."""
    name = path.rpartition("/")[2]
    headers = {"ETag": f'"{blob.oid}"', "X-Repo-Commit": commit, "Content-Type": "application/octet-stream"}
    headers["Content-Disposition"] = f'inline; filename="{name}";'
    return Response(200, headers, blob.content, ranges=True)


def redirect(status: int, location: str, headers: dict[str, str]) -> Response:
    return Response(status, headers | {"Location": location}, f"Redirecting to {location}".encode())


def as_json(value: object) -> Response:
    return Response(200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(value).encode())


def query_of(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
