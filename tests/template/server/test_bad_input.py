"""A wrong input is refused with one clear sentence, and the server keeps working.

Cog checks types and bounds with the schema and returns 422 (400 if the body is not JSON). What only the model can check
ends as a failed prediction: status 200, as Cog reports every failure, with the reason in `error`.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.template.server.live_server import LiveServer

GOOD = {"prompt": "Hi", "temperature": 0, "max_tokens": 3}
USER = {"role": "user", "content": "Hi"}


@pytest.fixture(autouse=True, scope="module")
def goes_on_answering(openvino_server: LiveServer) -> Iterator[None]:
    """The server still works after all of them."""
    yield
    assert openvino_server.health() == "READY"
    assert openvino_server.predict(**GOOD)["output"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("prompt", 5, '5 is not of type "string"'),
        ("prompt", "", '"" is shorter than 1 character'),
        ("messages", USER, 'is not of type "array"'),
        ("max_tokens", True, 'true is not of type "integer"'),
        ("temperature", 5.1, "5.1 is greater than the maximum of 5"),
        ("top_p", 0, "0 is less than the minimum of 0.01"),
    ],
)
def test_wrong_types_and_bounds_are_named(server: LiveServer, name: str, value: Any, message: str):
    response = server.post(**GOOD | {name: value})
    assert response.status_code == 422
    (problem,) = response.json()["detail"]
    assert problem["loc"] == ["body", "input", name]
    assert message in problem["msg"]


@pytest.mark.parametrize(("name", "value"), [("messages", [USER, 5]), ("messages", [None]), ("stop", ["a", 5])])
def test_a_wrong_item_of_a_list_is_named_with_its_index(server: LiveServer, name: str, value: list):
    response = server.post(**{name: value})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", "input", f"{name}/{len(value) - 1}"]


@pytest.mark.parametrize("name", [*GOOD, "messages", "system_prompt", "top_p", "top_k", "stop", "seed", "raw"])
def test_null_is_refused_everywhere(server: LiveServer, name: str):
    """Cog 0.22 ignores `nullable` in the schema: an optional input may not be sent as null."""
    response = server.post(**GOOD | {name: None})
    assert response.status_code == 422
    assert "null is not of type" in response.json()["detail"][0]["msg"]


def test_an_unknown_input_is_dropped_silently(server: LiveServer):
    """Cog removes inputs that are not in the schema: the prediction succeeds as if they had not been sent."""
    misspelt, right = server.predict(**GOOD, max_token=1), server.predict(**GOOD)
    assert "".join(misspelt["output"]) == "".join(right["output"])  # its pieces depend on time


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"max_tokens": 3}, "prompt is empty: send a prompt, or messages"),
        ({"messages": [USER | {"name": "Ada"}]}, "message 1 has 'name', which the model's chat template does not use"),
        (
            {"prompt": "Hi", "template_variables": {"enable_thinking": False}},
            "template_variables: the model's chat template has no variable 'enable_thinking'",
        ),
    ],
)
def test_a_request_that_the_model_cannot_answer_fails_with_the_reason(server: LiveServer, inputs: dict, reason: str):
    assert_fails(server, inputs, reason)


def test_a_prompt_longer_than_the_context_says_how_many_tokens_fit(server: LiveServer):
    reason = "the prompt has 20000 tokens and 8192 fit, answer included"
    error = assert_fails(server, {"prompt": " word" * 20_000, "raw": True}, reason)
    assert error.endswith("shorten it to at most 8191")


@pytest.mark.parametrize("words", [8192, 8193])
def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused(server: LiveServer, words: int):
    assert_fails(server, {"prompt": " word" * words, "raw": True}, f"the prompt has {words} tokens")


def test_a_megabyte_of_text_is_refused(server: LiveServer):
    error = assert_fails(server, {"prompt": "sea salt " * 120_000}, "the prompt has 24")
    assert "tokens and 8192 fit" in error


def assert_fails(server: LiveServer, inputs: dict, reason: str) -> str:
    """The prediction fails with one line that contains `reason`, over JSON and over SSE."""
    response = server.post(**inputs)
    prediction = response.json()
    assert (response.status_code, prediction["status"]) == (200, "failed")
    assert f"InputError: {reason}" in prediction["error"]
    assert "\n" not in prediction["error"]
    assert "output" not in prediction
    with server.stream(**inputs) as stream:
        completed = stream.until("completed")
    assert completed["error"] == prediction["error"]
    assert stream.chunks == []
    return str(prediction["error"])


def test_control_characters_are_accepted_as_text(server: LiveServer):
    assert server.predict(**GOOD | {"prompt": "".join(map(chr, range(32))) + "\x7f Hi"})["output"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 400),
        (b"", 400),
        (b'{"input": {"prompt": "Hi"}', 400),
        (b'{"input": {"prompt": "\\ud800 Hi"}}', 400),
        (b'{"input": {"prompt": "\xff\xfe"}}', 400),
        (b'{"input": {"prompt": "Hi", "temperature": NaN}}', 400),
        (b'{"input": {"prompt": "Hi", "temperature": 1e999}}', 400),
        (b"5", 422),
        (b"[]", 422),
        (b'{"input": []}', 422),
    ],
)
def test_a_malformed_request_body_is_refused(server: LiveServer, body: bytes, status: int):
    response = server.client.post("/predictions", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert response.text
