"""docs/pipelines.md: its files are taken from the page and added to a copy of the project, where they must work."""

import json
import re
from pathlib import Path

import pytest
import yaml

from models import manifest
from models.errors import ManifestError
from tests.template import toy

SLUG = "write-and-classify"
USED = ("smollm2-135m-instruct", "all-minilm-l6-v2-zero-shot")
_FILE = re.compile(r"^`(?P<path>[\w/.-]+)`[^`]*?\n\n```(python|yaml)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CLASS = re.compile(r"^At the end of `predict\.py`.*?```python\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the page's files, rendered for the pipeline, and with this project's weights."""
    copy = tmp_path_factory.mktemp("pipeline")
    toy.copy_project(copy)
    page = (copy / "docs" / "pipelines.md").read_text(encoding="utf-8")
    found = {match["path"]: match["text"] for match in _FILE.finditer(page)}
    assert len(found) == 4, sorted(found)
    for name, text in found.items():
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")
    seam, added = copy / "predict.py", _CLASS.search(page)
    assert added
    code, count = re.subn(
        r"^(from models\.tasks import .+)$",
        r"\1, write_and_classify",
        seam.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert count == 1
    seam.write_text(f"{code}\n\n{added['text']}", encoding="utf-8")
    (copy / "weights").symlink_to(manifest.PROJECT / "weights")
    toy.succeed(copy, "make", "render", f"MODEL={SLUG}")
    return copy


@pytest.mark.slow  # the type checker
def test_its_code_passes_the_checks(project: Path) -> None:
    toy.succeed(project, "make", "check")


@pytest.mark.slow  # a server of two models in a copy
def test_it_writes_and_classifies_what_it_wrote(project: Path) -> None:
    inputs = "-i prompt='Write a recipe for tomato soup.' -i labels=football -i labels=cooking"
    command = (".venv/bin/python", "-m", "scripts.call", "local", "--json", "--inputs", inputs)
    answer = json.loads(toy.succeed(project, *command))
    output = answer["output"]
    assert "tomato" in output["text"].lower()
    assert [one["label"] for one in output["scores"]] == ["cooking", "football"]


@pytest.mark.slow  # a server, and pytest
def test_the_examples_of_its_manifest_meet_their_expectations(project: Path) -> None:
    tests = ("-k", "example", "tests/fork/test_server.py")
    assert " passed" in toy.succeed(project, ".venv/bin/python", "-m", "pytest", "-q", *tests)


@pytest.mark.slow  # the converter's own environment
def test_the_weights_of_both_get_into_the_image(project: Path) -> None:
    ignored = (project / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!models/catalog/{slug}" for slug in (SLUG, *USED)} <= set(ignored)
    bake = f"from models import manifest; from scripts.release import image; m = manifest.load({SLUG!r})"
    toy.succeed(
        project, ".venv/bin/python", "-c", f"{bake}; image.bake(m, m.engine_on('cpu')); print(image._digests(m))"
    )
    for slug in USED:
        assert (project / "baked" / slug / "openvino" / "openvino_model.bin").is_file()


@pytest.mark.slow  # after the conversion of both
def test_the_verbs_of_weights_show_those_of_both(project: Path) -> None:
    verified = toy.succeed(project, "make", "weights-verify", f"MODEL={SLUG}")
    assert {tuple(line.split()[:3]) for line in verified.splitlines() if "every byte right" in line} >= {
        ("ok", f"{slug},", "openvino") for slug in USED
    }
    (listed,) = [
        one
        for one in json.loads(toy.succeed(project, ".venv/bin/python", "-m", "scripts.models", "--json"))
        if one["model"] == SLUG
    ]
    assert listed["weights_mb"] > 150


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"uses": ["smollm2-135m-instruct", "all-minilm"]}, "there is no model 'all-minilm'"),
        ({"uses": [SLUG, "all-minilm-l6-v2"]}, f"uses: {SLUG} is a pipeline itself"),
        ({"weights": {"source": "hf://org/name@main"}}, "uses and weights exclude each other"),
        ({"engines": [{"engine": "plain", "device": "cpu"}]}, "smollm2-135m-instruct has no plain on cpu"),
    ],
    ids=["unknown", "itself", "weights", "engine"],
)
def test_a_model_that_a_pipeline_cannot_use_is_refused(
    keys: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slug in (*USED, "all-minilm-l6-v2"):
        (tmp_path / slug).symlink_to(manifest.CATALOG / slug)
    monkeypatch.setattr(manifest, "CATALOG", tmp_path)
    add_pipeline(SLUG, {"uses": list(USED)} | keys)
    with pytest.raises(ManifestError) as refused:
        manifest.load(SLUG)
    assert message in str(refused.value)


def test_pipelines_that_use_each_other_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / USED[1]).symlink_to(manifest.CATALOG / USED[1])
    monkeypatch.setattr(manifest, "CATALOG", tmp_path)
    for slug, other in (("one", "two"), ("two", "one")):
        add_pipeline(slug, {"uses": [other, USED[1]]})
    with pytest.raises(ManifestError, match="uses: two is a pipeline itself"):
        manifest.load("one")


def add_pipeline(slug: str, keys: dict[str, object]) -> None:
    """Add a classifier without weights of its own to the catalog, with these keys."""
    written = yaml.safe_load(manifest.path_of(USED[1]).read_text(encoding="utf-8"))
    del written["weights"]
    written["engines"] = [{"engine": "openvino", "device": "cpu"}]
    manifest.path_of(slug).parent.mkdir()
    manifest.path_of(slug).write_text(yaml.safe_dump(written | keys), encoding="utf-8")
