"""A Hugging Face Hub on this machine, for the client libraries: `HF_ENDPOINT=hub.endpoint`.

The routes are those of https://huggingface.co/docs/hub/api (https://huggingface.co/.well-known/openapi.json) as
huggingface_hub speaks them; each names what it follows. Errors carry X-Error-Code and X-Error-Message, from which the
client makes its exceptions (https://huggingface.co/docs/huggingface_hub/package_reference/utilities#http-errors).
Large files come from a second host, by signed URLs; it refuses credentials, as the Hub's CDN does.
"""

import hashlib
import hmac
import json
import re
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from tests.services.http import Service, expired
from tests.services.http_messages import Content, Request, Response
from tests.services.hub_answers import as_json, asked_paths, query_of, redirect, small
from tests.services.hub_repository import (
    Refused,
    Repo,
    blob_of,
    commit_of,
    entry,
    pointer_of,
    sibling,
    tree_entries,
)

CREATED = "2026-01-01T00:00:00.000Z"

LOG_IN = "Invalid username or password."
GATED_LOG_IN = (
    "Access to model {0} is restricted. You must have access to it and be authenticated to access it. Please log in."
)
GATED_ASK = (
    "Access to model {0} is restricted and you are not in the authorized list. "
    "Visit https://huggingface.co/{0} to ask for access."
)


class Hub(Service):
    """The Hub and its CDN.

    `endpoint`: for HF_ENDPOINT. `tokens`: the known ones, each with its user's name. `url_seconds`: how long a signed
    URL holds. `page_size`: entries in one answer of the tree. `leaks`: requests that brought credentials to the CDN.
    `xet`: also offer LFS files by Xet, as the real Hub does beside HTTP; that protocol itself is not served.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, str] = {}
        self.repos: dict[str, Repo] = {}
        self.leaks: list[Request] = []
        self.url_seconds = 3600
        self.page_size = 1000
        self.xet = False
        self._key = secrets.token_bytes(16)
        self.endpoint = f"http://127.0.0.1:{self.serve('hub', self._hub)}"
        self.cdn = f"http://localhost:{self.serve('cdn', self._cdn)}"

    def __enter__(self) -> "Hub":
        return self

    def add(
        self,
        name: str,
        files: Mapping[str, Content],
        *,
        revision: str = "main",
        gated: bool = False,
        private: bool = False,
    ) -> str:
        """Commit `files` as the whole tree of `name` and move the branch `revision` to it; the commit's 40 digits.

        Files over 1 MB and those that end in .safetensors, .gguf or .bin are LFS files. `gated` and `private` hold
        until the next call.
        """
        repo = self.repos.setdefault(name, Repo(name))
        repo.gated, repo.private = gated, private
        tree = {path: blob_of(path, files[path]) for path in sorted(files)}
        described = json.dumps([name, len(repo.commits), {path: blob.oid for path, blob in tree.items()}])
        commit = hashlib.sha1(described.encode()).hexdigest()
        repo.commits[commit] = tree
        repo.refs[revision] = commit
        return commit

    def tag(self, name: str, tag: str, commit: str) -> None:
        self.repos[name].refs[tag] = commit

    def allow(self, name: str, token: str) -> None:
        """Let a token read a gated or private repository."""
        self.tokens.setdefault(token, "reader")
        self.repos[name].readers.add(token)

    def expire_urls(self) -> None:
        """Make every URL signed so far too old."""
        self._key = secrets.token_bytes(16)

    def _hub(self, request: Request) -> Response:
        identity = {"X-Request-Id": f"Root=1-{uuid.uuid4()}"}
        try:
            response = self._routed(request)
        except Refused as refused:
            body = json.dumps({"error": str(refused)}).encode()
            response = Response(refused.status, {"Content-Type": "application/json", **refused.headers}, body)
        response.headers |= identity
        return response

    def _routed(self, request: Request) -> Response:
        path = urlsplit(request.path).path
        for pattern, route in ROUTES.items():
            if found := re.fullmatch(pattern, path):
                allowed = ("POST",) if route is Hub._paths_info else ("GET", "HEAD")
                if request.method not in allowed:
                    raise Refused(405, None, "Method not allowed", Allow=", ".join(allowed))
                return route(self, request, **{name: unquote(value) for name, value in found.groupdict().items()})
        raise Refused(404, None, "Sorry, we can't find the page you are looking for.")

    def _token(self, request: Request) -> str | None:
        """The request's known token, as https://huggingface.co/docs/hub/security-tokens has it sent."""
        if request.authorization is None:
            return None
        token = request.authorization.removeprefix("Bearer ")
        if token not in self.tokens or not request.authorization.startswith("Bearer "):
            raise Refused(401, None, "Invalid credentials in Authorization header")
        return token

    def _repo(self, request: Request, name: str, *, content: bool) -> Repo:
        """A repository that the request may see; `content`: and read.

        A private one looks missing (https://huggingface.co/docs/hub/repositories-settings#private-repositories). What a
        gated one is called and holds is public, its files are not (https://huggingface.co/docs/hub/models-gated).
        """
        token = self._token(request)
        repo = self.repos.get(name)
        if repo is None or (repo.private and token not in repo.readers):
            status, message = (401, LOG_IN) if token is None else (404, "Repository not found")
            raise Refused(status, "RepoNotFound", message)
        if content and repo.gated and token not in repo.readers:
            status, message = (401, GATED_LOG_IN) if token is None else (403, GATED_ASK)
            raise Refused(status, "GatedRepo", message.format(name))
        return repo

    def _whoami(self, request: Request) -> Response:
        """GET /api/whoami-v2: `HfApi.whoami`."""
        token = self._token(request)
        if token is None:
            raise Refused(401, None, LOG_IN)
        access = {"type": "access_token", "accessToken": {"displayName": "test", "role": "read"}}
        return as_json({"type": "user", "name": self.tokens[token], "orgs": [], "auth": access})

    def _auth_check(self, request: Request, repo: str) -> Response:
        """GET /api/models/{repo}/auth-check: `HfApi.auth_check`."""
        self._repo(request, repo, content=True)
        return as_json({})

    def _info(self, request: Request, repo: str, revision: str = "main") -> Response:
        """GET /api/models/{repo}[/revision/{revision}][?blobs=true]: `HfApi.model_info(files_metadata=...)`.

        With `expand=sha&expand=likes`, as the JavaScript client's `modelInfo` asks, only these.
        """
        found = self._repo(request, repo, content=False)
        commit = commit_of(found, revision)
        blobs = query_of(request).get("blobs") == "true"
        siblings = [sibling(path, blob, blobs) for path, blob in found.commits[commit].items()]
        told = {
            "modelId": repo,
            "author": repo.partition("/")[0],
            "sha": commit,
            "lastModified": CREATED,
            "createdAt": CREATED,
            "private": found.private,
            "gated": "manual" if found.gated else False,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "pipeline_tag": "text-generation",
            "tags": [],
            "siblings": siblings,
        }
        wanted = parse_qs(urlsplit(request.path).query).get("expand", list(told))
        if unknown := [name for name in wanted if name not in told]:
            raise Refused(400, None, f'"expand" must not hold {", ".join(unknown)}')
        identity = {"_id": hashlib.sha1(repo.encode()).hexdigest()[:24], "id": repo}
        return as_json(identity | {name: told[name] for name in wanted})

    def _tree(self, request: Request, repo: str, revision: str, folder: str = "") -> Response:
        """GET /api/models/{repo}/tree/{revision}[/{folder}][?recursive=true]: `HfApi.list_repo_tree`.

        Pages are linked as in RFC 8288: `Link: <URL>; rel="next"`.
        """
        found = self._repo(request, repo, content=False)
        tree = found.commits[commit_of(found, revision)]
        query = query_of(request)
        entries = tree_entries(tree, folder, recursive=query.get("recursive") == "true")
        if folder and not entries:
            raise Refused(404, "EntryNotFound", f'{folder} does not exist on "{revision}"')
        start = int(query.get("cursor", 0))
        response = as_json(entries[start : start + self.page_size])
        if start + self.page_size < len(entries):
            following = urlencode(query | {"cursor": start + self.page_size})
            response.headers["Link"] = f'<{self.endpoint}{urlsplit(request.path).path}?{following}>; rel="next"'
        return response

    def _paths_info(self, request: Request, repo: str, revision: str) -> Response:
        """POST /api/models/{repo}/paths-info/{revision}: `HfApi.get_paths_info`, the JavaScript client's `pathsInfo`.

        `paths` and `expand` come as JSON or as a form; paths that do not exist are left out.
        """
        found = self._repo(request, repo, content=False)
        commit = commit_of(found, revision)
        paths, expand = asked_paths(request)
        more = {"lastCommit": {"id": commit, "title": "Upload", "date": CREATED}} if expand else {}
        entries = tree_entries(found.commits[commit], "", recursive=True)
        return as_json([one | more for one in entries if one["path"] in paths])

    def _raw(self, request: Request, repo: str, revision: str, path: str) -> Response:
        """GET and HEAD /{repo}/raw/{revision}/{path}: as git has it (of an LFS file the pointer); `fileExists`."""
        found = self._repo(request, repo, content=True)
        commit = commit_of(found, revision)
        blob = entry(found, commit, path)
        content = pointer_of(blob.sha256, blob.size) if blob.sha256 else blob.content
        headers = {"X-Repo-Commit": commit, "ETag": f'"{blob.oid}"', "Content-Type": "text/plain; charset=utf-8"}
        return Response(200, headers, content)

    def _resolve(self, request: Request, repo: str, revision: str, path: str) -> Response:
        """GET and HEAD /{repo}/resolve/{revision}/{path}: `hf_hub_download`, `get_hf_file_metadata`.

        An LFS file: 302 to the CDN; X-Linked-Etag is its sha256. A small file of an open repository: 307 to a path of
        this host with the commit in it (https://github.com/huggingface/huggingface_hub/issues/4815). Others: 200.
        """
        found = self._repo(request, repo, content=True)
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
        if blob.sha256 and self.xet:
            token = f"{self.endpoint}/api/models/{repo}/xet-read-token/{commit}"
            linked |= {"X-Xet-Hash": blob.sha256, "Link": f'<{token}>; rel="xet-auth"'}
        if blob.sha256:
            return redirect(302, self._signed(repo, blob.sha256, path), linked)
        query = urlencode({urlsplit(request.path).path: "", "etag": f'"{blob.oid}"'})
        return redirect(307, f"/api/resolve-cache/models/{repo}/{commit}/{quote(path)}?{query}", linked)

    def _resolve_cache(self, request: Request, repo: str, commit: str, path: str) -> Response:
        """GET and HEAD /api/resolve-cache/models/{repo}/{commit}/{path}: where `resolve` redirects to."""
        found = self._repo(request, repo, content=True)
        return small(entry(found, commit_of(found, commit), path), commit, path)

    def _signed(self, repo: str, sha256: str, path: str) -> str:
        """A CDN's URL of a file, as https://huggingface.co/docs/hub/storage-backends describes them."""
        name = path.rpartition("/")[2]
        query = {"response-content-disposition": f'inline; filename="{name}";', "Expires": self._expiry()}
        target = f"/{repo}/{sha256}?{urlencode(query)}"
        return f"{self.cdn}{target}&Signature={self._signature(target)}&Key-Pair-Id=TEST"

    def _expiry(self) -> str:
        return str(int(time.time()) + self.url_seconds)

    def _signature(self, target: str) -> str:
        return hmac.new(self._key, target.encode(), hashlib.sha256).hexdigest()

    def _cdn(self, request: Request) -> Response:
        """GET and HEAD a signed URL. Two ways to authenticate are an error, as with S3 and CloudFront."""
        if request.authorization is not None or "cookie" in request.headers:
            self.leaks.append(request)
            return Response(400, {"Content-Type": "application/xml"}, b"<Error><Code>InvalidArgument</Code></Error>")
        if request.method not in ("GET", "HEAD"):
            return Response(405, {"Allow": "GET, HEAD"})
        target, _, signature = request.path.partition("&Signature=")
        signed = hmac.compare_digest(self._signature(target), signature.partition("&")[0])
        if not signed or int(query_of(request)["Expires"]) < time.time():
            return expired()
        name, _, sha256 = urlsplit(target).path[1:].rpartition("/")
        blobs = (blob for tree in self.repos[name].commits.values() for blob in tree.values())
        content = next(blob.content for blob in blobs if blob.sha256 == sha256)
        # The CDN's ETag is its own: what the Hub calls the file is in X-Linked-Etag.
        headers = {
            "ETag": f'"{hashlib.md5(sha256.encode()).hexdigest()}"',
            "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        }
        return Response(200, headers | {"Content-Type": "application/octet-stream"}, content, ranges=True)


NAME = r"(?P<repo>[\w.-]+/[\w.-]+)"
ROUTES: dict[str, Callable[..., Response]] = {
    r"/api/whoami-v2": Hub._whoami,
    rf"/api/models/{NAME}": Hub._info,
    rf"/api/models/{NAME}/auth-check": Hub._auth_check,
    rf"/api/models/{NAME}/revision/(?P<revision>[^/]+)": Hub._info,
    rf"/api/models/{NAME}/tree/(?P<revision>[^/]+)": Hub._tree,
    rf"/api/models/{NAME}/tree/(?P<revision>[^/]+)/(?P<folder>.+)": Hub._tree,
    rf"/api/models/{NAME}/paths-info/(?P<revision>[^/]+)": Hub._paths_info,
    rf"/api/resolve-cache/models/{NAME}/(?P<commit>[0-9a-f]{{40}})/(?P<path>.+)": Hub._resolve_cache,
    rf"/{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)": Hub._resolve,
    rf"/{NAME}/raw/(?P<revision>[^/]+)/(?P<path>.+)": Hub._raw,
}
