"""Tokens and access to weights on the Hub: a token is sent only to the Hub, and missing access is reported early."""

from pathlib import Path

import pytest

from tests.services.hub import Hub
from tests.template.models.weights.hub_weights import FILES, NAME, TOKEN, WANTED, bodies, on_the_hub, sent_by_cdn
from tests.template.models.weights.project import Project

ACCESS = "set HF_TOKEN (https://huggingface.co/settings/tokens) or: hf auth login"


@pytest.fixture
def project(hub: Hub, tmp_path: Path) -> Project:
    return on_the_hub(hub, tmp_path / "project")


@pytest.mark.parametrize("kind", ["gated", "private"])
@pytest.mark.parametrize("xet", [False, True])
def test_a_token_opens_a_private_repository_and_is_sent_only_to_the_hub(
    hub: Hub, project: Project, kind: str, xet: bool
) -> None:
    hub.xet = xet
    hub.add(NAME, FILES, gated=kind == "gated", private=kind == "private")
    hub.allow(NAME, TOKEN)
    ran = [project.does(command, HF_TOKEN=TOKEN) for command in ("weights_lock", "weights")]
    assert project.files == WANTED
    assert {request.authorization for request in hub.requests if request.host == "hub"} == {f"Bearer {TOKEN}"}
    assert {request.authorization for request in sent_by_cdn(hub)} == {None}
    assert hub.leaks == []
    assert TOKEN not in "".join(one.stdout + one.stderr for one in ran) + project.lock.read_text()


def test_a_login_in_netrc_does_not_replace_the_token(hub: Hub, project: Project, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password something\n")
    hub.add(NAME, FILES, gated=True)
    hub.allow(NAME, TOKEN)
    for command in ("weights_lock", "weights"):
        project.does(command, HF_TOKEN=TOKEN, HOME=str(tmp_path))
    assert {request.authorization for request in hub.requests if request.host == "hub"} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("command", ["weights_lock", "weights"])
@pytest.mark.parametrize(
    ("closed", "token", "says"),
    [
        ("gated", "", f"{NAME} is gated: ask for access at https://huggingface.co/{NAME}, then {ACCESS}"),
        ("gated", TOKEN, f"{NAME} is gated: ask for access at https://huggingface.co/{NAME}, then {ACCESS}"),
        ("private", "", f"there is no https://huggingface.co/{NAME}, or it is private and you need to {ACCESS}"),
        ("private", TOKEN, f"there is no https://huggingface.co/{NAME}, or it is private and you need to {ACCESS}"),
        ("", "hf_unknown", f"the Hub answers 401 for {NAME}: {ACCESS}"),
    ],
)
def test_missing_access_is_an_error_before_any_byte_is_downloaded(
    hub: Hub, project: Project, command: str, closed: str, token: str, says: str
) -> None:
    hub.tokens[TOKEN] = "someone"
    hub.add(NAME, FILES)
    if command == "weights":
        project.does("weights_lock")
    before = len(bodies(hub))
    hub.add(NAME, FILES, gated=closed == "gated", private=closed == "private")
    assert project.refuses(command, HF_TOKEN=token) == says
    assert len(bodies(hub)) == before
    assert not (project.weights / "source").exists()


@pytest.mark.parametrize("token", [f'"{TOKEN}"', f"'{TOKEN}'\r\n"])
def test_quotes_around_a_token_are_removed(hub: Hub, project: Project, token: str) -> None:
    hub.add(NAME, FILES, private=True)
    hub.allow(NAME, TOKEN)
    project.does("weights_lock", HF_TOKEN=token)


@pytest.mark.parametrize("private", [False, True])
def test_a_token_that_is_not_ascii_is_not_sent_and_a_warning_is_printed(
    hub: Hub, project: Project, private: bool
) -> None:
    hub.add(NAME, FILES, private=private)
    ran = project.run("weights_lock", HF_TOKEN="hf_réader")
    message = ran.stderr.splitlines()
    assert "the Hub's token is not sent, as it is not ASCII, which every token is: copy it again from " in message[1]
    assert ran.returncode == private
    if private:
        assert message[-1].startswith(f"there is no https://huggingface.co/{NAME}, or it is private")


def test_a_binary_token_file_is_reported_in_one_line(hub: Hub, project: Project, tmp_path: Path) -> None:
    hub.add(NAME, FILES)
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    assert "token holds no token that can be read" in project.refuses("weights_lock", HF_TOKEN_PATH=f"{tmp_path}/token")
