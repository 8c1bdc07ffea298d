"""The HTTP of the local Replicate: tokens, routes, pages, problem JSON, and the faults that tests inject.

What every route has in common: https://replicate.com/docs/reference/http#authentication and #rate-limits.
"""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from pydantic import BaseModel, ValidationError

from . import http_messages
from .http_messages import Response

if TYPE_CHECKING:
    from .replicate import Replicate

FaultKind = Literal[403, 429, 500, 503, "cut", "after"]
Body = TypeVar("Body", bound=BaseModel)
STREAMS = "/streaming/"
"""How paths begin whose URL is itself the secret, so that browsers can use it."""


@dataclass
class Fault:
    """A fault of the next `times` requests with the method `method` and a path that matches `path` completely.

    `path` is a regular expression for the path without its query, like "/v1/models/.*". The kinds: a number is the
    status of an answer with Retry-After, and nothing is done; "cut" closes the connection in the middle of a response,
    and nothing is done (a stream ends after its first event); "after" carries out the request and closes before it
    responds.
    """

    method: str
    path: str
    times: int
    kind: FaultKind
    retry_after: int = 1


@dataclass
class Request:
    """One line of the request log; `status` is None until a response begins, and if a fault cuts it.

    `has_token`: it had an Authorization header.
    """

    method: str
    path: str
    has_token: bool
    status: int | None = None


@dataclass
class Call:
    """A request as a route sees it. `account`: the account of its token; empty if no token is required."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Message
    content: bytes
    account: str

    def body(self, kind: type[Body]) -> Body:
        """The JSON body, checked.

        Raises:
            Problem: 400 for no JSON, 422 for unknown, missing or wrong fields.
        """
        try:
            return kind.model_validate_json(self.content or b"{}")
        except ValidationError as error:
            if error.errors()[0]["type"] == "json_invalid":
                raise Problem(400, "Bad request", "The request body is not valid JSON.") from None
            raise invalid([(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]) from None


@dataclass
class Answer:
    """The response of a route: JSON, or the `events` of a stream."""

    status: int
    body: Any = None
    events: Iterator[bytes] | None = None


class Problem(Exception):
    """An error whose response is problem JSON: {title, detail, status}."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] = {}, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.headers = status, headers
        self.body = {"title": title, "detail": detail, "status": status} | more


Route = Callable[..., Answer]


def not_found(what: str = "The requested resource") -> Problem:
    return Problem(404, "Not found", f"{what} could not be found.")


def invalid(fields: Sequence[tuple[str, str]]) -> Problem:
    """A 422 with one line per field."""
    detail = "".join(f"- {name}: {message}\n" for name, message in fields)
    details = [{"field": name, "description": message} for name, message in fields]
    return Problem(422, "Input validation failed", detail, invalid_fields=details)


def page(call: Call, url: str, items: Sequence[dict[str, Any]], key: str, size: int) -> dict[str, Any]:
    """One page of `items`. Its cursor names its first item by `key`, so that newer items do not move the page."""
    names, start = [str(item[key]) for item in items], 0
    if "cursor" in call.query:
        try:
            start = names.index(base64.urlsafe_b64decode(call.query["cursor"]).decode())
        except ValueError:
            raise Problem(404, "Not found", "Invalid cursor") from None

    def link(index: int) -> str | None:
        cursor = base64.urlsafe_b64encode(names[index].encode()).decode()
        return f"{url}{call.path}?cursor={quote(cursor)}"

    return {
        "previous": link(max(0, start - size)) if start > 0 else None,
        "next": link(start + size) if start + size < len(items) else None,
        "results": list(items[start : start + size]),
    }


@dataclass
class Router:
    """Finds the route of a request, and passes it the parts of the path in braces by name."""

    routes: Mapping[tuple[str, str], Route]
    _patterns: list[tuple[str, re.Pattern[str], Route]] = field(init=False)

    def __post_init__(self) -> None:
        self._patterns = [
            (method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), route)
            for (method, path), route in self.routes.items()
        ]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route and the parts of the path that it names.

        Raises:
            Problem: 404 for a path that nothing serves, 405 for another method on one that something does.
        """
        found = {verb: (route, match) for verb, pattern, route in self._patterns if (match := pattern.fullmatch(path))}
        if not found:
            raise not_found()
        if method not in found:
            allowed = {"Allow": ", ".join(sorted(found))}
            raise Problem(405, "Method not allowed", f'Method "{method}" not allowed.', allowed)
        route, match = found[method]
        return route, match.groupdict()


class Front:
    """Answers each request as the documentation says, or as a fault of `replicate` does."""

    def __init__(self, replicate: "Replicate", router: Router) -> None:
        self._replicate, self._router = replicate, router

    def respond(self, request: http_messages.Request) -> Response:
        path = urlsplit(request.path).path
        logged = Request(request.method, path, request.authorization is not None)
        self._replicate.requests.append(logged)
        fault = self._replicate.take_fault(request.method, path)
        kind = fault.kind if fault else None
        if kind == "cut" and not path.startswith(STREAMS):
            return Response(200, {"Content-Type": "application/json"}, pieces=_cut(iter([b'{"id": "'])))
        try:
            if fault and isinstance(kind, int):
                raise _fault_problem(fault)
            response = _response(self._route(request, path))
        except Problem as problem:
            headers = {"Content-Type": "application/problem+json", **problem.headers}
            response = Response(problem.status, headers, json.dumps(problem.body).encode())
        else:
            if kind == "after":
                raise ConnectionAbortedError("the local Replicate was told to close the connection")
            if kind == "cut" and response.pieces:
                return replace(response, pieces=_cut(response.pieces))
        logged.status = response.status
        return response

    def _route(self, request: http_messages.Request, path: str) -> Answer:
        account = "" if path.startswith(STREAMS) else self._account(request.authorization or "")
        route, named = self._router.find(request.method, path)
        query = {name: values[-1] for name, values in parse_qs(urlsplit(request.path).query).items()}
        headers = Message()
        for name, value in request.headers.items():
            headers[name] = value
        call = Call(request.method, path, query, headers, request.content, account)
        return route(self._replicate, call, **named)

    def _account(self, authorization: str) -> str:
        scheme, _, token = authorization.partition(" ")
        account = self._replicate.tokens.get(token) if scheme == "Bearer" else None
        if account is None:
            raise Problem(401, "Unauthenticated", "You did not pass a valid authentication token")
        return account


def _response(answer: Answer) -> Response:
    if answer.events is not None:
        return Response(answer.status, {"Content-Type": "text/event-stream; charset=utf-8"}, pieces=answer.events)
    return Response(answer.status, {"Content-Type": "application/json"}, json.dumps(answer.body).encode())


def _cut(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The first piece, after which the connection closes."""
    yield next(pieces)
    raise ConnectionAbortedError("the local Replicate was told to cut the response")


def _fault_problem(fault: Fault) -> Problem:
    headers = {"Retry-After": str(fault.retry_after)}
    if fault.kind == 429:
        seconds = "1 second" if fault.retry_after == 1 else f"{fault.retry_after} seconds"
        return Problem(429, "Too many requests", f"Request was throttled. Expected available in {seconds}.", headers)
    phrase = HTTPStatus(int(fault.kind)).phrase
    return Problem(int(fault.kind), phrase, f"{phrase}: the local Replicate was told to fail.", headers)


def now() -> str:
    """The current time as Replicate writes it, like 2024-02-15T16:32:57.018467Z."""
    return timestamp(time.time())


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
