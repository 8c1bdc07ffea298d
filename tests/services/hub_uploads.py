"""The local Hub: routes that create repositories, change settings, upload files and commit.

The forms are those of https://huggingface.co/.well-known/openapi.json, and for large files those of Git LFS
(https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md); each route names its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.services import hub_card
from tests.services.hub_answers import as_json, query_of
from tests.services.hub_repository import (
    GIT_ATTRIBUTES,
    LFS_SIZE,
    Blob,
    Refused,
    Repo,
    blob_of,
    commit_of,
    history,
    is_lfs,
    lfs_blob,
)

if TYPE_CHECKING:
    from tests.services.http_messages import Request, Response
    from tests.services.hub import Hub

LFS = "application/vnd.git-lfs+json"
MOVED = "A commit has happened since. Please refresh and try again."
MISSING_OBJECT = (
    "Your push was rejected because an LFS pointer pointed to a file that does not exist. "
    "For instance, this can happen if you used git push --no-verify to push your changes. Offending file: - {0}"
)


def create(hub: Hub, request: Request) -> Response:
    """POST /api/repos/create: `HfApi.create_repo`. The new repository has one commit, .gitattributes."""
    token = hub.known(request)
    body = _body(request)
    namespace, kind = body.get("organization") or hub.tokens[token], body.get("type") or "model"
    if kind not in ("model", "space"):
        raise Refused(400, None, f'"type" must be "model" or "space" here, not {kind}')
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}", str(body.get("name"))) or str(body["name"]).endswith((".git", ".")):
        raise Refused(400, None, f"Invalid repo name: {namespace}/{body.get('name')}")
    if kind == "space" and body.get("sdk") not in hub_card.SDKS:
        raise Refused(400, None, f'"sdk" must be one of {", ".join(hub_card.SDKS)}')
    if namespace not in hub.writers.get(token, ()):
        raise Refused(403, None, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"')
    name = f"{namespace}/{body['name']}"
    key = name if kind == "model" else f"spaces/{name}"
    url = f"{hub.endpoint}/{key}"
    if key in hub.repos:
        answer = as_json({"error": f"You already created this {kind} repo", "url": url})
        answer.status = 409
        return answer
    repo = hub.repos[key] = Repo(key, private=body.get("visibility") == "private" or body.get("private") is True)
    repo.readers.add(token)
    repo.commit("main", {".gitattributes": blob_of(".gitattributes", GIT_ATTRIBUTES)}, "initial commit", "", "system")
    return as_json({"url": url, "name": name, "id": hashlib.sha1(key.encode()).hexdigest()[:24]})


def settings(hub: Hub, request: Request, repo: str) -> Response:
    """PUT /api/models/{repo}/settings: `HfApi.update_repo_settings`; `gated`: false, "auto" or "manual"."""
    found, body = writable(hub, request, repo), _body(request)
    if body.get("gated", False) not in (False, "auto", "manual"):
        raise Refused(400, None, '"gated" must be one of [auto, manual, false]')
    if body.get("visibility", "public") not in ("public", "private"):
        raise Refused(400, None, '"visibility" must be one of [public, private]')
    found.gated = body.get("gated", found.gated)
    found.private = body["visibility"] == "private" if "visibility" in body else found.private
    return as_json(body)


def preupload(hub: Hub, request: Request, repo: str, revision: str) -> Response:
    """POST /api/models/{repo}/preupload/{revision}: which files go to LFS, and the `oid` of those the branch has."""
    found, body = writable(hub, request, repo), _body(request)
    tree = found.commits[commit_of(found, revision)]
    if len(body["files"]) > 256:
        raise Refused(413, None, "Payload Too Large")
    answers = []
    for file in body["files"]:
        sample = _decoded(file["sample"])
        if len(sample) != min(512, file["size"]):
            raise Refused(400, None, f'"sample" of {file["path"]} must be the first 512 bytes')
        there = tree.get(file["path"])
        answer = {
            "path": file["path"],
            "uploadMode": "lfs" if is_lfs(file["path"], file["size"], sample) else "regular",
        }
        answer["shouldIgnore"] = False
        answers.append(answer | ({"oid": there.sha256 or there.oid} if there else {}))
    return as_json({"files": answers})


def lfs_batch(hub: Hub, request: Request, repo: str) -> Response:
    """POST /{repo}.git/info/lfs/objects/batch, of Git LFS: the URLs to PUT missing files, and to verify them."""
    found, body = writable(hub, request, repo), _body(request, LFS)
    if request.headers.get("accept") != LFS:
        raise Refused(406, None, f"Accept must be {LFS}")
    if body.get("operation") != "upload" or body.get("hash_algo", "sha256") not in ("sha256", "sha_256"):
        raise Refused(422, None, "only uploads with sha256 are served")
    answers = [_upload_of(hub, found, item) for item in body["objects"]]
    response = as_json({"transfer": "basic", "objects": answers})
    response.headers["Content-Type"] = LFS
    return response


def _upload_of(hub: Hub, repo: Repo, item: dict[str, Any]) -> dict[str, Any]:
    named = {"oid": item["oid"], "size": item["size"]}
    if not re.fullmatch("[0-9a-f]{64}", item["oid"]) or item["size"] < 1:
        return named | {"error": {"code": 422, "message": "an object has a sha256 and at least one byte"}}
    if item["oid"] in repo.objects:
        return named | {"authenticated": True}
    upload = {"href": hub.signed("PUT", repo.name, item["oid"], item["oid"]), "expires_in": hub.url_seconds}
    verify = {"href": f"{hub.endpoint}/{repo.name}.git/info/lfs/verify"}
    return named | {"authenticated": True, "actions": {"upload": upload, "verify": verify}}


def lfs_verify(hub: Hub, request: Request, repo: str) -> Response:
    """POST /{repo}.git/info/lfs/verify, of Git LFS: whether an uploaded file is present with its size."""
    found, body = writable(hub, request, repo), _body(request, None)
    content = found.objects.get(body["oid"])
    if content is None or len(content) != body["size"]:
        raise Refused(404, None, f"{body['oid']} was not uploaded")
    return as_json({})


def commit(hub: Hub, request: Request, repo: str, revision: str) -> Response:
    """POST /api/models/{repo}/commit/{branch}: NDJSON, a header, then a line per operation; `HfApi.create_commit`.

    With `parentCommit`, only if that is still the branch's last commit; otherwise 412.
    """
    found = writable(hub, request, repo)
    if len(request.content) > hub.commit_limit:
        raise Refused(413, None, "Payload Too Large")
    header, *operations = _lines(request)
    if header["key"] != "header" or not header["value"].get("summary"):
        raise Refused(400, None, "the first line must be a header with a summary")
    if revision not in found.refs:
        raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    parent = header["value"].get("parentCommit")
    if parent and commit_of(found, parent) != found.refs[revision]:
        raise Refused(412, None, MOVED)
    tree = dict(found.commits[found.refs[revision]])
    for operation in operations:
        _apply(found, tree, operation["key"], operation["value"])
    header = header["value"]
    author = hub.tokens[hub.known(request)]
    made = found.commit(revision, tree, header["summary"], header.get("description") or "", author)
    url = f"{hub.endpoint}/{repo}/commit/{made}"
    return as_json({"success": True, "commitOid": made, "commitUrl": url, "hookOutput": ""})


def _apply(repo: Repo, tree: dict[str, Blob], key: str, value: dict[str, Any]) -> None:
    path = value["path"]
    if path.startswith(("/", ".git/")) or ".." in path.split("/"):
        raise Refused(400, None, f"Invalid path: {path}")
    if key == "file":
        tree[path] = _small_file(repo, path, value)
    elif key == "lfsFile":
        content = repo.objects.get(value["oid"])
        if content is None or value.get("size", len(content)) != len(content) or value["algo"] != "sha256":
            raise Refused(400, None, MISSING_OBJECT.format(path))
        tree[path] = lfs_blob(content, len(content), value["oid"])
    elif key == "deletedFile":
        if path not in tree:
            raise Refused(404, "EntryNotFound", "A file with this name doesn't exist")
        del tree[path]
    else:
        raise Refused(400, None, f"Unknown operation {key}")


def _small_file(repo: Repo, path: str, value: dict[str, Any]) -> Blob:
    content = _decoded(value["content"]) if value.get("encoding") == "base64" else value["content"].encode()
    if len(content) > LFS_SIZE or b"\0" in content:
        kind = "binary files" if b"\0" in content else f"files larger than {LFS_SIZE} bytes"
        raise Refused(400, None, f"Your push was rejected because it contains {kind}. Offending files: - {path}")
    if path == "README.md":
        errors, _ = hub_card.problems(content.decode(), repo.kind)
        if errors:
            raise Refused(400, None, f"Invalid metadata in README.md: {'; '.join(errors)}")
    return Blob(content, len(content), blob_of("", content).oid)


def commits(hub: Hub, request: Request, repo: str, revision: str) -> Response:
    """GET /api/models/{repo}/commits/{revision}: `HfApi.list_repo_commits`, the newest first."""
    found = hub.readable(request, repo, content=False)
    commits = history(found, commit_of(found, revision))
    return hub.page(request, commits, int(query_of(request).get("limit", hub.page_size)))


def validate_yaml(hub: Hub, request: Request) -> Response:
    """POST /api/validate-yaml: `RepoCard.validate`, and `HfApi.create_commit` before it uploads a README.md."""
    body = _body(request)
    errors, warnings = hub_card.problems(body["content"], body["repoType"])
    answer = as_json(
        {"errors": [{"message": error} for error in errors], "warnings": [{"message": text} for text in warnings]}
    )
    answer.status = 400 if errors else 200
    return answer


def writable(hub: Hub, request: Request, name: str) -> Repo:
    """A repository that the request may write to (https://huggingface.co/docs/hub/security-tokens)."""
    repo = hub.readable(request, name, content=False)
    namespace = name.removeprefix("spaces/").partition("/")[0]
    if namespace not in hub.writers.get(hub.known(request), ()):
        raise Refused(403, None, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")
    return repo


def _body(request: Request, kind: str | None = "application/json") -> dict[str, Any]:
    """The JSON object of a request of the content type `kind` (None: any)."""
    if kind and not request.headers.get("content-type", "").startswith(kind):
        raise Refused(415, None, f"Content-Type must be {kind}")
    try:
        body = json.loads(request.content)
    except ValueError:
        raise Refused(400, None, "Invalid JSON") from None
    if not isinstance(body, dict):
        raise Refused(400, None, "The body must be an object")
    return body


def _lines(request: Request) -> Iterator[dict[str, Any]]:
    """The lines of an NDJSON body (http://ndjson.org)."""
    if request.headers.get("content-type") != "application/x-ndjson":
        raise Refused(415, None, "Content-Type must be application/x-ndjson")
    try:
        yield from [json.loads(line) for line in request.content.splitlines()]
    except ValueError:
        raise Refused(400, None, "Invalid NDJSON") from None


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Refused(400, None, "Invalid base64") from None
