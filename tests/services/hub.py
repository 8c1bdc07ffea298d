"""A local Hugging Face Hub for the client libraries: `HF_ENDPOINT=hub.endpoint`.

The routes are those of https://huggingface.co/docs/hub/api (https://huggingface.co/.well-known/openapi.json) as
huggingface_hub uses them; each names its documentation. Errors have X-Error-Code and X-Error-Message, from which the
client makes its exceptions (https://huggingface.co/docs/huggingface_hub/package_reference/utilities#http-errors).
Large files are served by a second host with signed URLs, which refuses credentials like the Hub's CDN.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from tests.services import hub_card, hub_cdn, hub_files, hub_uploads
from tests.services.http import Service
from tests.services.http_messages import Content, Request, Response, opened
from tests.services.hub_answers import as_json, query_of
from tests.services.hub_cdn import SignedUrls
from tests.services.hub_repository import (
    CREATED,
    Blob,
    Refused,
    Repo,
    blob_of,
    commit_of,
    sibling,
    tree_entries,
)

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

    `endpoint`: for HF_ENDPOINT. `tokens`: the valid ones, each with its user's name. `writers`: the users and
    organisations whose repositories a token may write to. `repos`: a Space's name begins with spaces/.
    `url_seconds`: how long a signed URL is valid. `page_size`: entries on a page of the tree. `commit_limit`: bytes of
    one commit's body. `leaks`: requests that sent credentials to the CDN.
    `xet`: also offer LFS files by Xet, as the real Hub does beside HTTP; that protocol itself is not served.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, str] = {}
        self.writers: dict[str, set[str]] = {}
        self.repos: dict[str, Repo] = {}
        self.leaks: list[Request] = []
        self.url_seconds = 3600
        self.page_size = 1000
        self.commit_limit = 20_000_000
        self.xet = False
        self.urls = SignedUrls()
        self.endpoint = f"http://127.0.0.1:{self.serve('hub', self._hub)}"
        self.cdn = f"http://localhost:{self.serve('cdn', partial(hub_cdn.respond, self))}"

    def add(
        self,
        name: str,
        files: Mapping[str, Content],
        *,
        revision: str = "main",
        gated: bool = False,
        private: bool = False,
    ) -> str:
        """Commit `files` as the complete tree of `name`, and move the branch `revision` to it; returns the commit's id.

        Files over 1 MB and those that end in .safetensors, .gguf or .bin are LFS files. `gated` and `private` apply
        until the next call.
        """
        repo = self.repos.setdefault(name, Repo(name))
        repo.gated, repo.private = "manual" if gated else False, private
        tree = {path: blob_of(path, files[path]) for path in sorted(files)}
        return repo.commit(revision, tree, "Upload", "", "someone")

    def tag(self, name: str, tag: str, commit: str) -> None:
        self.repos[name].refs[tag] = commit

    def allow(self, name: str, token: str) -> None:
        """Let a token read a gated or private repository."""
        self.tokens.setdefault(token, "reader")
        self.repos[name].readers.add(token)

    def writer(self, token: str, user: str, *organizations: str) -> None:
        """Let a token write to the repositories of a user and organisations."""
        self.tokens[token] = user
        self.writers[token] = {user, *organizations}

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
        method = "GET" if request.method == "HEAD" else request.method
        for pattern, routes in ROUTES.items():
            if found := re.fullmatch(pattern, path):
                if method not in routes:
                    allowed = ", ".join([*routes, "HEAD"] if "GET" in routes else routes)
                    raise Refused(405, None, "Method not allowed", Allow=allowed)
                parts = {name: unquote(value) for name, value in found.groupdict().items() if value is not None}
                if parts.pop("kind", "models") == "spaces":
                    parts["repo"] = f"spaces/{parts['repo']}"
                return routes[method](self, request, **parts)
        raise Refused(404, None, "Sorry, we can't find the page you are looking for.")

    def _token(self, request: Request) -> str | None:
        """The valid token of a request, sent as https://huggingface.co/docs/hub/security-tokens says."""
        if request.authorization is None:
            return None
        token = request.authorization.removeprefix("Bearer ")
        if token not in self.tokens or not request.authorization.startswith("Bearer "):
            raise Refused(401, None, "Invalid credentials in Authorization header")
        return token

    def known(self, request: Request) -> str:
        """The request's token; 401 if there is none."""
        token = self._token(request)
        if token is None:
            raise Refused(401, None, LOG_IN)
        return token

    def readable(self, request: Request, name: str, *, content: bool) -> Repo:
        """A repository that the request may see; with `content`, also read.

        A private one looks missing (https://huggingface.co/docs/hub/repositories-settings#private-repositories). The
        name and file list of a gated one are public, its files are not (https://huggingface.co/docs/hub/models-gated).
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

    def _info(self, request: Request, repo: str, revision: str = "main") -> Response:
        """GET /api/models/{repo}[/revision/{revision}][?blobs=true]: `HfApi.model_info(files_metadata=...)`."""
        found = self.readable(request, repo, content=False)
        commit = commit_of(found, revision)
        blobs = query_of(request).get("blobs") == "true"
        siblings = [sibling(path, blob, blobs) for path, blob in found.commits[commit].items()]
        card = _card(found.commits[commit].get("README.md"))
        fields = {
            "_id": hashlib.sha1(repo.encode()).hexdigest()[:24],
            "id": repo.removeprefix("spaces/"),
            "modelId": repo,
            "author": repo.partition("/")[0],
            "sha": commit,
            "lastModified": CREATED,
            "createdAt": CREATED,
            "private": found.private,
            "gated": found.gated,
            "disabled": False,
            "downloads": 0,
            "likes": 0,
            "pipeline_tag": card.get("pipeline_tag", "text-generation"),
            "tags": [],
            "siblings": siblings,
            "cardData": card,
        }
        return as_json(fields)

    def _tree(self, request: Request, repo: str, revision: str) -> Response:
        """GET /api/models/{repo}/tree/{revision}[?recursive=true]: `HfApi.list_repo_tree`.

        Pages are linked as in RFC 8288: `Link: <URL>; rel="next"`.
        """
        found = self.readable(request, repo, content=False)
        tree = found.commits[commit_of(found, revision)]
        entries = tree_entries(tree, recursive=query_of(request).get("recursive") == "true")
        return self.page(request, entries, self.page_size)

    def page(self, request: Request, entries: list[dict[str, Any]], size: int) -> Response:
        """At most `size` entries, and the link to the next page."""
        query = query_of(request)
        start, size = int(query.get("cursor", 0)), min(size, self.page_size)
        response = as_json(entries[start : start + size])
        if start + size < len(entries):
            following = urlencode(query | {"cursor": start + size})
            response.headers["Link"] = f'<{self.endpoint}{urlsplit(request.path).path}?{following}>; rel="next"'
        return response

    def _paths_info(self, request: Request, repo: str, revision: str) -> Response:
        """POST /api/models/{repo}/paths-info/{revision}: `HfApi.get_paths_info`, which sends `paths` as a form.

        Paths that do not exist are left out.
        """
        found = self.readable(request, repo, content=False)
        paths = parse_qs(request.content.decode()).get("paths", [])
        entries = tree_entries(found.commits[commit_of(found, revision)], recursive=True)
        return as_json([one for one in entries if one["path"] in paths])

    def signed(self, method: str, repo: str, sha256: str, path: str) -> str:
        """A signed CDN URL for one file."""
        return self.urls.make(self.cdn, method, repo, sha256, path, self.url_seconds)


REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
API = rf"/api/(?P<kind>models|spaces)/{REPO}"
PAGE = rf"/(?:(?P<kind>spaces)/)?{REPO}"
ROUTES: dict[str, dict[str, Callable[..., Response]]] = {
    r"/api/repos/create": {"POST": hub_uploads.create},
    r"/api/validate-yaml": {"POST": hub_uploads.validate_yaml},
    API: {"GET": Hub._info},
    rf"{API}/settings": {"PUT": hub_uploads.settings},
    rf"{API}/revision/(?P<revision>[^/]+)": {"GET": Hub._info},
    rf"{API}/commits/(?P<revision>[^/]+)": {"GET": hub_uploads.commits},
    rf"{API}/preupload/(?P<revision>[^/]+)": {"POST": hub_uploads.preupload},
    rf"{API}/commit/(?P<revision>[^/]+)": {"POST": hub_uploads.commit},
    rf"{API}/tree/(?P<revision>[^/]+)": {"GET": Hub._tree},
    rf"{API}/paths-info/(?P<revision>[^/]+)": {"POST": Hub._paths_info},
    rf"/api/resolve-cache/(?P<kind>models|spaces)/{REPO}/(?P<commit>[0-9a-f]{{40}})/(?P<path>.+)": {
        "GET": hub_files.resolve_cache
    },
    rf"{PAGE}\.git/info/lfs/objects/batch": {"POST": hub_uploads.lfs_batch},
    rf"{PAGE}\.git/info/lfs/verify": {"POST": hub_uploads.lfs_verify},
    rf"{PAGE}/resolve/(?P<revision>[^/]+)/(?P<path>.+)": {"GET": hub_files.resolve},
}


def _card(readme: Blob | None) -> dict[str, Any]:
    """The `cardData` of a repository: the front matter of its README.md."""
    return hub_card.metadata_of(opened(readme.content).read().decode()) if readme else {}
