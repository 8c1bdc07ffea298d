"""make publish, against the local Hub: what it uploads, what it does not touch, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download

from scripts import releases
from scripts.release import ledger
from tests.template.scripts.hub.conftest import SLUG, Published

EXAMPLES = {"examples/examples.json", "examples/in-a-container-with-cog.sh", "examples/curl-against-the-container.sh"}
WORDS = {".gitattributes", "LICENSE", "README.md", *EXAMPLES}
LATER = {"tier": "staged", "stages": [{"day": "2999-01-01", "opens": "open"}]}
Entries = Callable[[], list[list[str]]]


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The last line of standard error."""
    return capsys.readouterr().err.splitlines()[-1]


def test_a_publish_uploads_every_file_in_one_commit(published: Published, entries: Entries) -> None:
    assert published.publish() == 0
    info = published.api.model_info("acme/tiny")
    commits = published.api.list_repo_commits("acme/tiny")
    assert [info.private, info.gated, len(commits)] == [True, False, 2]
    assert commits[0].title == "Publish SmolLM2 135M Instruct"
    files = published.files()
    assert set(files) == {
        ".gitattributes",
        "LICENSE",
        "README.md",
        "config.json",
        *EXAMPLES,
        "examples/python-with-transformers.py",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert b"\n# SmolLM2 135M Instruct\n" in files["README.md"]
    assert json.loads(files["examples/examples.json"])[0]["name"] == "capital of France"
    assert entries() == [["publish", "begun"], ["publish", "ok"]]
    assert ledger.read(SLUG)[-1].digest == commits[0].commit_id


def test_a_publish_is_in_the_list_of_releases(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    assert published.publish() == 0
    capsys.readouterr()
    assert releases.main([]) == 0
    (row,) = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert row[1:3] == ["publish", "ok"]
    assert "hf.co/acme/tiny" in row


def test_a_published_model_can_be_downloaded_and_runs(published: Published, tiny: Path, tmp_path: Path) -> None:
    import torch
    import transformers

    assert published.publish("--create", "public") == 0
    folder = snapshot_download("acme/tiny", endpoint=published.hub.endpoint, cache_dir=tmp_path / "fresh", token=False)
    prompt = transformers.AutoTokenizer.from_pretrained(folder)("The sea", return_tensors="pt")
    ours, theirs = (transformers.AutoModelForCausalLM.from_pretrained(place).eval() for place in (tiny, folder))
    with torch.inference_mode():
        made = theirs.generate(**prompt, max_new_tokens=8, do_sample=False)
        assert torch.equal(made, ours.generate(**prompt, max_new_tokens=8, do_sample=False))


def test_unchanged_files_are_not_uploaded_again(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    """Though the Hub lists them on several pages."""
    published.hub.page_size = 4
    published.publish()
    (weights,) = published.sent
    head = published.api.model_info("acme/tiny").sha
    assert published.publish() == 0
    assert published.api.model_info("acme/tiny").sha == head
    assert "are already there" in capsys.readouterr().err
    published.says(summary="It says more.")
    assert published.publish() == 0
    sent = [request for request in published.hub.requests if request.path.endswith("/commit/main")][-1]
    changed = [json.loads(line)["value"]["path"] for line in sent.content.splitlines()[1:]]
    assert (changed, published.sent) == (["README.md"], [weights])


def test_files_that_are_no_longer_published_are_removed_and_other_files_stay(published: Published) -> None:
    published.publish()
    theirs = published.api.create_commit(
        "acme/tiny", [CommitOperationAdd("notes.md", b"by hand")], commit_message="Add notes"
    )
    published.says(release="api-only")
    assert published.publish("--onto", theirs.oid) == 0
    assert set(published.files()) == {*WORDS, "notes.md"}


def test_somebody_elses_commit_is_not_overwritten(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    published.publish()
    published.hub.writer("hf_bob", "bob", "acme")
    published.hub.allow("acme/tiny", "hf_bob")
    bob = HfApi(endpoint=published.hub.endpoint, token="hf_bob")
    theirs = bob.create_commit("acme/tiny", [CommitOperationAdd("README.md", b"# Bob's")], commit_message="Mine")
    published.says(summary="It says more.")
    assert published.publish() == 1
    line = error_line(capsys)
    assert theirs.oid[:9] in line
    assert 'by bob, "Mine"' in line
    assert f"ONTO={theirs.oid}" in line
    assert published.files()["README.md"] == b"# Bob's"
    assert published.publish("--onto", theirs.oid) == 0
    assert published.files()["README.md"].count(b"It says more.") == 1


def test_a_commit_by_others_during_the_publish_is_noticed_and_refused(
    published: Published, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    published.publish()
    published.says(summary="It says more.")
    sends = HfApi.create_commit

    def somebody_was_faster(api: HfApi, *arguments: object, **options: object) -> object:
        sends(api, "acme/tiny", [CommitOperationAdd("theirs.txt", b"theirs")], commit_message="Theirs")
        return sends(api, *arguments, **options)

    monkeypatch.setattr(HfApi, "create_commit", somebody_was_faster)
    assert published.publish() == 1
    assert "answers 412" in error_line(capsys)
    assert "theirs.txt" in published.files()
    assert b"It says more." not in published.files()["README.md"]


@pytest.mark.parametrize(
    ("token", "to", "words"),
    [
        ("", "acme/tiny", "there is no token for the Hub: hf auth login, or export HF_TOKEN=..."),
        ("hf_wrong", "acme/tiny", "the Hub does not know this token"),
        ("hf_writer", "others/tiny", "use one with the right to write there"),
        ("hf_writer", "tiny", "TO=ORG/NAME on the Hub"),
        ("hf_writer", "acme/a--b", "Cannot have -- or .. in repo_id"),
    ],
)
def test_a_publish_without_permission_says_why(
    published: Published,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    to: str,
    words: str,
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(published.folder / "none"))
    assert published.publish(to=to) == (2 if to == "tiny" else 1)
    assert words in error_line(capsys)
    assert published.hub.repos == {}


def test_a_card_that_the_hub_refuses(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    published.says(languages=["English"])
    assert published.publish() == 1
    assert "the Hub does not take acme/tiny: Invalid metadata in README.md" in error_line(capsys)
    assert published.sent == []


def test_a_commit_that_is_too_large_is_reported(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    published.hub.commit_limit = 1000
    assert published.publish() == 1
    assert "more than the Hub takes in one commit" in error_line(capsys)


def test_a_fact_missing_from_the_card_is_named(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    published.says(citation=None)
    assert published.publish() == 1
    assert "model.yaml: set citation: how to cite it" in error_line(capsys)
    assert published.hub.repos == {}


def test_damaged_weights_are_not_published(published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    published.publish("--dry-run")
    published.publish(to="acme/first")
    file = published.folder / "weights" / SLUG / "source" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert published.publish(to="acme/second") == 1
    assert "has sha256" in error_line(capsys)
    assert "acme/second" not in published.hub.repos


def test_a_repository_with_wrong_content_after_the_publish_is_noticed(
    published: Published, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, entries: Entries
) -> None:
    sends = HfApi.create_commit

    def damaged(api: HfApi, *arguments: object, **options: object) -> object:
        made = sends(api, *arguments, **options)
        tree = published.hub.repos["acme/tiny"].commits[made.oid]
        tree["config.json"] = tree["README.md"]
        return made

    monkeypatch.setattr(HfApi, "create_commit", damaged)
    assert published.publish() == 1
    assert "does not have what was sent: config.json" in error_line(capsys)
    assert entries()[-1] == ["publish", "failed"]


def test_gated_weights_are_gated_before_they_are_uploaded(published: Published) -> None:
    published.says(release={"tier": "gated", "gate": {"terms": "Be kind.", "approval": "manual"}})
    assert published.publish("--create", "public") == 0
    steps = [request.path.rpartition("/")[2] for request in published.hub.requests if request.method in ("PUT", "POST")]
    assert steps.index("settings") < steps.index("main")
    info = published.api.model_info("acme/tiny")
    assert (info.private, info.gated) == (False, "manual")
    published.says(release="open")
    assert published.publish() == 0
    assert published.api.model_info("acme/tiny").gated is False


@pytest.mark.parametrize("release", ["api-only", LATER])
def test_weights_that_nobody_may_download_are_not_uploaded(
    published: Published, capsys: pytest.CaptureFixture[str], release: object
) -> None:
    published.says(release=release)
    assert published.publish() == 0
    assert set(published.files()) - {"examples/python-with-transformers.py"} == WORDS
    assert published.sent == []
    published.publish("--dry-run")
    assert ("the weights become open from 2999-01-01" in capsys.readouterr().out) == (release != "api-only")


def test_a_stage_whose_day_has_come_opens_the_weights(published: Published) -> None:
    stages = [{"day": "2020-01-01", "opens": "gated"}, {"day": "2999-01-01", "opens": "open"}]
    published.says(release={"tier": "staged", "stages": stages, "gate": {"terms": "Be kind."}})
    assert published.publish() == 0
    assert published.api.model_info("acme/tiny").gated == "auto"
    assert "model.safetensors" in published.files()


def test_a_licence_that_forbids_it_is_named_by_its_clause(
    published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    license = {"id": "cc-by-nc-nd-4.0", "link": "https://creativecommons.org/licenses/by-nc-nd/4.0/"}
    base = {"model": "somebody/model", "relation": "finetune", "changes": "trained more", "license": license}
    published.says(base=base, license=license)
    assert published.publish() == 1
    assert "section 2(a)(1)(B)" in error_line(capsys)
    assert published.publish("--dry-run") == 1
    assert published.hub.repos == {}


def test_a_dry_run_lists_every_file_and_changes_nothing(
    published: Published, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert published.publish("--dry-run") == 0
    shown = capsys.readouterr().out
    assert "would create it, private" in shown
    assert [word for word in ("model.safetensors", "README.md", "LICENSE") if word not in shown] == []
    assert published.hub.repos == {}
    assert not ledger.path_of(SLUG).exists()
    published.publish()
    published.says(summary="It says more.")
    capsys.readouterr()
    assert published.publish("--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "README.md" in line] == ["send"]
    assert [line for line in lines if line.lstrip().startswith("unchanged") and "model.safetensors" in line]
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(published.folder / "none"))
    assert published.publish("--dry-run") == 0
    assert "the Hub was not asked (there is no token" in capsys.readouterr().out


def test_the_visibility_of_an_existing_repository_is_not_changed(
    published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    published.publish()
    assert published.publish("--create", "public") == 1
    assert "is private, and CREATE=public is for a new one" in error_line(capsys)
    assert published.publish("--create", "secret") == 2
