"""make publish-all, against the local Hub: two tiers that link to each other, the ledger, and continuing."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.weights import lock
from scripts import publish_all
from scripts.hub import tiers
from tests.services.http import Fault
from tests.template.scripts.hub.conftest import SLUG, Published
from tests.template.scripts.hub.test_publish import WORDS

LARGE = "large"
TIERS = [{"model": SLUG, "hub": "acme/tiny", "create": "public"}, {"model": LARGE, "hub": "acme/large"}]


@pytest.fixture
def plan(published: Published) -> Path:
    """A plan with a free small model and a large one whose weights are not public."""
    large = shutil.copytree(published.catalog, published.catalog.with_name(LARGE))
    content = yaml.safe_load((large / "model.yaml").read_text())
    content |= {"title": "Large 7B", "hardware": {"replicate": "gpu-l40s", "memory_gb": 24}, "release": "api-only"}
    (large / "model.yaml").write_text(yaml.safe_dump(content))
    return written(published, TIERS)


def written(published: Published, found: list[dict[str, Any]]) -> Path:
    path = published.folder / "plan.yaml"
    path.write_text(yaml.safe_dump({"tiers": found}))
    return path


def test_each_card_links_to_the_other_and_the_large_model_s_weights_are_not_published(
    plan: Path, published: Published
) -> None:
    assert publish_all.main([str(plan)]) == 0
    small, large = published.files("acme/tiny"), published.files("acme/large")
    assert "model.safetensors" in small
    assert set(large) == WORDS
    assert b"## Beside Large 7B\n\n[Large 7B](https://huggingface.co/acme/large)" in small["README.md"]
    assert b"| memory of a server | 1 GB | 24 GB |" in small["README.md"]
    assert b"](https://huggingface.co/acme/tiny)" in large["README.md"]
    assert b"from_pretrained" not in large["README.md"]
    info = published.api.model_info("acme/tiny"), published.api.model_info("acme/large")
    assert [one.private for one in info] == [False, True]


def test_it_continues_where_it_stopped(plan: Path, published: Published, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish_all.main([str(plan), "--dry-run"]) == 0
    assert capsys.readouterr().out.count("not done yet") == 2
    assert published.hub.repos == {}
    published.hub.faults.append(Fault("/api/models/acme/large/commit/", "dead"))
    assert publish_all.main([str(plan)]) == 1
    shown = capsys.readouterr()
    assert "cannot reach the Hub for acme/large" in shown.err.splitlines()[-1]
    states = [line.split(None, 3)[3] for line in shown.out.splitlines()[1:]]
    assert states[0].startswith("done, ")
    assert states[1].startswith("left: cannot reach the Hub")
    commits = published.api.list_repo_commits("acme/tiny")
    assert publish_all.main([str(plan)]) == 0
    assert capsys.readouterr().out.count("done, ") == 2
    assert published.api.list_repo_commits("acme/tiny") == commits
    assert len(published.sent) == 1


def test_if_one_tier_is_refused_everything_stays_private(
    plan: Path, published: Published, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lock.path_of(LARGE).with_name("model.yaml")
    path.write_text(path.read_text().replace("citation", "surprise"))
    assert publish_all.main([str(plan)]) == 1
    assert "unknown key surprise" in capsys.readouterr().err
    assert published.hub.repos == {}


@pytest.mark.parametrize("release", ["api-only", {"tier": "gated", "gate": {"terms": "Be kind."}}])
def test_a_demo_does_not_contain_weights_that_are_not_public(
    published: Published, capsys: pytest.CaptureFixture[str], release: object
) -> None:
    published.says(release=release)
    plan = written(published, [{"model": SLUG, "hub": "acme/tiny", "space": "acme/demo"}])
    assert publish_all.main([str(plan)]) == 1
    assert "its demo would contain them: run it elsewhere" in capsys.readouterr().err
    assert published.publish("--space", "acme/demo") == 1
    assert "its demo would contain them: run it elsewhere" in capsys.readouterr().err
    assert published.hub.repos == {}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "tiers: List should have at least 1 item"),
        ([{"model": SLUG}], "tiny goes nowhere: set hub, space or replicate"),
        ([{"model": SLUG, "hubb": "acme/tiny"}], "unknown key tiers.0.hubb (did you mean hub?)"),
        ([TIERS[0], {"model": LARGE, "hub": "acme/tiny"}], "acme/tiny is named twice: give each tier its own"),
        ([{"model": "larg", "hub": "acme/tiny"}], "there is no model 'larg'"),
        ([{"model": SLUG, "hub": "tiny"}], "tiers.0.hub: String should match pattern"),
    ],
)
def test_a_contradictory_plan_is_refused(
    plan: Path, published: Published, capsys: pytest.CaptureFixture[str], found: list[dict[str, Any]], message: str
) -> None:
    assert publish_all.main([str(written(published, found))]) == 1
    assert message in capsys.readouterr().err
    assert publish_all.main([str(plan.with_name("none.yaml"))]) == 1
    assert "there is no plan" in capsys.readouterr().err


def test_the_example_plan_is_valid() -> None:
    assert tiers.read(Path("examples/publication/smollm2.yaml")).tiers[0].hub == "YOUR-NAME/smollm2"
