"""The local Hub: its repositories of commits, each a tree of files as in git and Git LFS."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.services.http_messages import Content, opened

LFS_SIZE = 1_000_000
LFS_ENDINGS = (".safetensors", ".gguf", ".bin")
GIT_ATTRIBUTES = "".join(f"*{ending} filter=lfs diff=lfs merge=lfs -text\n" for ending in LFS_ENDINGS).encode()
CREATED = "2026-01-01T00:00:00.000Z"


@dataclass
class Blob:
    """A file of a commit. `oid`: its git blob id; if `sha256` is set, that of the LFS pointer."""

    content: Content
    size: int
    oid: str
    sha256: str | None = None
    pointer_size: int = 0


@dataclass
class CommitInfo:
    """The parent, message and author of a commit."""

    parent: str | None
    title: str
    message: str
    author: str


@dataclass
class Repo:
    """A repository: its commits, oldest first, each a complete tree; its branches and tags; who may read it.

    `name`: that of a Space begins with spaces/. `gated`: False, or how access is granted. `objects`: the LFS files that
    were uploaded, by sha256, with or without a commit.
    """

    name: str
    gated: bool | str = False
    private: bool = False
    readers: set[str] = field(default_factory=set)
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    commit_info: dict[str, CommitInfo] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "space" if self.name.startswith("spaces/") else "model"

    def commit(self, branch: str, tree: dict[str, Blob], title: str, message: str, author: str) -> str:
        """Move a branch to a new commit with a complete tree; returns the commit's id."""
        described = json.dumps([self.name, len(self.commits), {path: blob.oid for path, blob in tree.items()}])
        commit = hashlib.sha1(described.encode()).hexdigest()
        self.commits[commit] = tree
        self.commit_info[commit] = CommitInfo(self.refs.get(branch), title, message, author)
        self.refs[branch] = commit
        return commit


class Refused(Exception):
    """An error response: its status, X-Error-Code and X-Error-Message."""

    def __init__(self, status: int, code: str | None, message: str, **headers: str) -> None:
        super().__init__(message)
        named = {"X-Error-Code": code} if code else {}
        self.status = status
        self.headers = named | {"X-Error-Message": message} | {key.replace("_", "-"): headers[key] for key in headers}


def blob_of(path: str, content: Content) -> Blob:
    """A file as git stores it: itself, or an LFS pointer (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md)."""
    with opened(content) as file:
        size = file.seek(0, 2)
        file.seek(0)
        if not is_lfs(path, size):
            return Blob(content, size, git_oid(file.read()))
        digest = hashlib.sha256()
        while chunk := file.read(LFS_SIZE):
            digest.update(chunk)
    return lfs_blob(content, size, digest.hexdigest())


def lfs_blob(content: Content, size: int, sha256: str) -> Blob:
    pointer = pointer_of(sha256, size)
    return Blob(content, size, git_oid(pointer), sha256, len(pointer))


def is_lfs(path: str, size: int, sample: bytes = b"") -> bool:
    """Whether Git LFS stores a file: by its name, its size, or because it is binary."""
    return size > 0 and (size > LFS_SIZE or path.endswith(LFS_ENDINGS) or b"\0" in sample)


def pointer_of(sha256: str, size: int) -> bytes:
    """The pointer that git stores instead of an LFS file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def commit_of(repo: Repo, revision: str) -> str:
    """The commit of a branch, a tag, or a commit id of at least seven digits; HEAD is that of the main branch."""
    revision = "main" if revision == "HEAD" else revision
    if revision in repo.refs:
        return repo.refs[revision]
    found = [commit for commit in repo.commits if len(revision) >= 7 and commit.startswith(revision)]
    if len(found) != 1:
        raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
    return found[0]


def history(repo: Repo, commit: str) -> list[dict[str, Any]]:
    """A commit and its ancestors, the newest first, in the Hub's form."""
    found = []
    following: str | None = commit
    while following:
        commit_info = repo.commit_info[following]
        authors = [{"user": commit_info.author}]
        found.append(
            {
                "id": following,
                "title": commit_info.title,
                "message": commit_info.message,
                "authors": authors,
                "date": CREATED,
            }
        )
        following = commit_info.parent
    return found


def entry(repo: Repo, commit: str, path: str) -> Blob:
    if path not in repo.commits[commit]:
        raise Refused(404, "EntryNotFound", "Entry not found", X_Repo_Commit=commit)
    return repo.commits[commit][path]


def sibling(path: str, blob: Blob, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    described: dict[str, Any] = {"rfilename": path, "size": blob.size, "blobId": blob.oid}
    lfs = {"sha256": blob.sha256, "size": blob.size, "pointerSize": blob.pointer_size}
    return described | {"lfs": lfs} if blob.sha256 else described


def tree_entries(tree: Mapping[str, Blob], *, recursive: bool) -> list[dict[str, Any]]:
    """The files and folders, by path; without `recursive`, only those at the top."""
    entries: dict[str, dict[str, Any]] = {}
    for path, blob in tree.items():
        entries[path] = {"type": "file", "path": path, "size": blob.size, "oid": blob.oid}
        if blob.sha256:
            entries[path]["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": blob.pointer_size}
        above = path
        while "/" in above:
            above = above.rpartition("/")[0]
            entries[above] = {"type": "directory", "path": above, "size": 0, "oid": git_oid(above.encode())}
    return [entries[path] for path in sorted(entries) if recursive or "/" not in path]
