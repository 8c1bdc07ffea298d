"""The local Hub: routes that answer with a file of a repository, or say where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

from tests.services.hub_answers import redirect, small
from tests.services.hub_repository import commit_of, entry

if TYPE_CHECKING:
    from tests.services.http_messages import Request, Response
    from tests.services.hub import Hub


def resolve(hub: Hub, request: Request, repo: str, revision: str, path: str) -> Response:
    """GET and HEAD /{repo}/resolve/{revision}/{path}: `hf_hub_download`, `get_hf_file_metadata`.

    An LFS file: 302 to the CDN; X-Linked-Etag is its sha256. A small file of an open repository: 307 to a path of
    this host with the commit in it (https://github.com/huggingface/huggingface_hub/issues/4815). Others: 200.
    """
    found = hub.readable(request, repo, content=True)
    commit = commit_of(found, revision)
    blob = entry(found, commit, path)
    if not blob.sha256 and (found.gated or found.private or not blob.size):
        return small(blob, commit, path)
    linked = {"X-Repo-Commit": commit, "X-Linked-Size": str(blob.size), "Accept-Ranges": "bytes"}
    linked |= {
        "X-Linked-Etag": f'"{blob.sha256 or blob.oid}"',
        "ETag": f'"{blob.oid}"',
        "Content-Type": "text/plain",
    }
    if blob.sha256 and hub.xet:
        token = f"{hub.endpoint}/api/{_api(repo)}/xet-read-token/{commit}"
        linked |= {"X-Xet-Hash": blob.sha256, "Link": f'<{token}>; rel="xet-auth"'}
    if blob.sha256:
        return redirect(302, hub.signed("GET", repo, blob.sha256, path), linked)
    query = urlencode({urlsplit(request.path).path: "", "etag": f'"{blob.oid}"'})
    return redirect(307, f"/api/resolve-cache/{_api(repo)}/{commit}/{quote(path)}?{query}", linked)


def _api(repo: str) -> str:
    """A repository in the paths of the API."""
    return repo if repo.startswith("spaces/") else f"models/{repo}"


def resolve_cache(hub: Hub, request: Request, repo: str, commit: str, path: str) -> Response:
    """GET and HEAD /api/resolve-cache/models/{repo}/{commit}/{path}: where `resolve` redirects to."""
    found = hub.readable(request, repo, content=True)
    return small(entry(found, commit_of(found, commit), path), commit, path)
