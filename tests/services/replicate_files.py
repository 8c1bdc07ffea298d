"""The local Replicate's route for the files that clients upload; it cites its documentation."""

import email.policy
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any

from .replicate_http import Answer, Call, Problem, Route, invalid, timestamp

if TYPE_CHECKING:
    from .replicate import Replicate

SECONDS_KEPT = 24 * 3600
_LONGEST_NAME = 255  # bytes of UTF-8


@dataclass
class File:
    """An upload, kept for a day: https://replicate.com/docs/topics/predictions/input-files."""

    name: str
    kind: str
    content: bytes
    metadata: dict[str, Any]
    id: str = field(default_factory=lambda: secrets.token_hex(13))
    created: float = field(default_factory=time.time)

    def as_json(self, address: str) -> dict[str, Any]:
        checksums = {name: hashlib.new(name, self.content).hexdigest() for name in ("sha256", "md5")}
        return {
            "id": self.id,
            "name": self.name,
            "content_type": self.kind,
            "size": len(self.content),
            "etag": checksums["md5"],
            "checksums": checksums,
            "metadata": self.metadata,
            "created_at": timestamp(self.created),
            "expires_at": timestamp(self.created + SECONDS_KEPT),
            "urls": {"get": f"{address}/v1/files/{self.id}"},
        }


def create_file(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#files.create: the form's `content`, with its name, and `metadata`."""
    parts = _form(call)
    content = parts.get("content")
    if content is None or not content.get_filename():
        raise invalid([("content", "a file with a filename is required")])
    name = str(content.get_filename())
    if len(name.encode()) > _LONGEST_NAME:
        raise invalid([("filename", f"at most {_LONGEST_NAME} bytes")])
    metadata = _metadata(_bytes_of(parts["metadata"])) if "metadata" in parts else {}
    kind = content.get_content_type() if content.get("content-type") else "application/octet-stream"
    file = File(name, kind, _bytes_of(content), metadata)
    replicate.files[file.id] = file
    return Answer(201, file.as_json(replicate.address))


def _form(call: Call) -> dict[str, EmailMessage]:
    """The parts of a multipart/form-data body by their names (RFC 7578)."""
    if call.headers.get_content_type() != "multipart/form-data":
        raise Problem(415, "Unsupported media type", "Send the file as multipart/form-data.")
    head = f"Content-Type: {call.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser(policy=email.policy.HTTP).parsebytes(head + call.content)
    return {str(part.get_param("name", header="content-disposition")): part for part in message.iter_parts()}


def _bytes_of(part: EmailMessage) -> bytes:
    return bytes(part.get_payload(decode=True))


def _metadata(content: bytes) -> dict[str, Any]:
    try:
        metadata = json.loads(content or b"{}")
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise invalid([("metadata", "must be a JSON object")])
    return metadata


ROUTES: dict[tuple[str, str], Route] = {
    ("POST", "/v1/files"): create_file,
}
