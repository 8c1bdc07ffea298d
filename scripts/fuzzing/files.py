"""Small real files, as data: URIs, for inputs that take a file: images of 64 x 64 grey pixels, silence, and texts."""

import base64
import io
import wave
from collections.abc import Iterator
from fnmatch import fnmatchcase

_PNG = """
iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAATUlEQVR42u3PQQ0AAAgEIDX5RTeFDzdoQCepz6aeExAQEBAQEBAQEBAQEBAQEBAQEBAQEB
AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQELi3oiwCAJt186UAAAAASUVORK5CYII="""
_JPEG = """
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAP////////////////////////////////////////////////////////////////////////////////////
//2wBDAf//////////////////////////////////////////////////////////////////////////////////////wAARCABAAEADASIAAhEBAxEB
/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/xAAUAQEAAAAAAAAAAAAAAAAAAAAA/8QAFBEBAAAAAAAAAAAAAAAAAAAAAP
/aAAwDAQACEQMRAD8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/9k="""
_WEBP = "UklGRiQAAABXRUJQVlA4TBcAAAAvP8APAAdQwAIWsP8BICH8f69F9D/1AwA="


def _silence() -> bytes:
    """A tenth of a second, 16 kHz, 16 bits, one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * 1_600))
    return file.getvalue()


FILES = {
    ".png": ("image/png", base64.b64decode(_PNG)),
    ".jpg .jpeg": ("image/jpeg", base64.b64decode(_JPEG)),
    ".webp": ("image/webp", base64.b64decode(_WEBP)),
    ".wav": ("audio/wav", _silence()),
    ".txt": ("text/plain", "One line, é.\nAnother.\n".encode()),
    ".csv": ("text/csv", b"name,count\na,1\n"),
    ".json": ("application/json", b'{"a": [1, null]}'),
}
"""Media type and content, by suffixes."""


def data_uris(accept: str | None) -> Iterator[tuple[str, str]]:
    """The media type and data: URI of each file that `accept` allows ("image/*", ".png,.jpg"); a PNG if it is empty."""
    accepted = [one.strip().lower().replace("/x-", "/") for one in (accept or ".png").split(",")]
    for suffixes, (kind, content) in FILES.items():
        if any(fnmatchcase(kind, one) or one in suffixes.split() for one in accepted):
            yield kind, f"data:{kind};base64,{base64.b64encode(content).decode()}"
