"""Rendered files: current in this repository; in a copy, files that differ are found and written again."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from models import manifest
from models.weights import openvino_format
from scripts.contract import schema
from scripts.rendering import files as render
from scripts.rendering import verbs
from tests import commands

PROJECT = Path(__file__).parents[3]
CARD = "models/catalog/smollm2-135m-instruct/README.md"
RENDERED = ["cog.yaml", "cog.cpu.yaml", ".dockerignore", "schemas/TextGeneration.json", CARD]
PARTS = [
    ("README.md", "| `make predict` |"),
    ("docs/performance.md", "the bare engine"),
    ("docs/architecture.md", "-->"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What rendering reads and writes, in a folder of this test's own."""
    for folder in filter(
        lambda name: (PROJECT / name).is_dir(), ("models", "scripts", "schemas", "benchmarks", "evals", "docs")
    ):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    for file in ("predict.py", "cog.yaml", "cog.cpu.yaml", ".dockerignore", "README.md", "Makefile"):
        shutil.copy(PROJECT / file, tmp_path / file)
    return tmp_path


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return commands.run(sys.executable, "-m", "scripts.render", *options, cwd=folder)


def test_the_rendered_files_of_this_repository_are_current() -> None:
    ran = run(PROJECT, "--check")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_every_class_and_both_devices_are_rendered() -> None:
    names = list(render.rendered(manifest.selected()))
    assert set(names) >= {*RENDERED, *(f"schemas/{name}.json" for name in schema.class_names())}


def test_files_that_differ_fail_the_check_which_names_them_and_does_not_change_them(copy: Path) -> None:
    drifted = {name: (copy / name).read_text() + "# by hand\n" for name in RENDERED}
    for name, text in drifted.items():
        (copy / name).write_text(text)
    ran = run(copy, "--check")
    assert ran.returncode == 1
    names, _, message = ran.stderr.splitlines()[-1].partition(": ")
    assert sorted(names.split(", ")) == sorted(RENDERED)
    assert message == "not as rendered: make render, and commit the result"
    assert ran.stderr.count("-# by hand") == len(RENDERED)
    assert {name: (copy / name).read_text() for name in RENDERED} == drifted


@pytest.mark.slow
def test_rendered_sections_that_differ_fail_the_check_and_are_rendered_again(copy: Path) -> None:
    pages = {name: (copy / name).read_text() for name, _ in PARTS}
    for name, line in PARTS:
        lines = pages[name].splitlines(keepends=True)
        (copy / name).write_text("".join(each for each in lines if line not in each or "<!--" in each))
    message = run(copy, "--check").stderr.splitlines()[-1]
    assert message.startswith(f"{', '.join(pages)}: not as rendered")
    assert run(copy).returncode == 0
    assert {name: (copy / name).read_text() for name in pages} == pages


def test_an_import_cycle_between_packages_is_refused_by_name(copy: Path) -> None:
    (copy / "scripts" / "cli" / "loop.py").write_text("from scripts.release import ledger\n")
    ran = run(copy, "--check")
    assert ran.returncode == 1
    assert re.search(r"scripts/cli imports scripts/.*, which is a circle: ", ran.stderr)


def test_make_shows_at_most_16_verbs_and_every_verb_and_command_says_what_it_does() -> None:
    groups = verbs.by_group()
    shown = [verb for group, members in groups.items() for verb in members if verb.group]
    assert len(shown) <= 16
    assert list(groups)[:5] == ["start", "make it yours", "ship", "publish", "measure"]
    assert {verb.group for verb in verbs.verbs()} == {*list(groups)[:5], ""}
    names = {path.stem for path in (PROJECT / "scripts").glob("*.py")} - {"__init__"}
    commands = dict(verbs.commands())
    assert {typed.split()[2].removeprefix("scripts.") for typed in commands} == names | {"contract"}
    assert all(commands.values())


@pytest.mark.slow
def test_a_description_that_cog_garbles_is_a_warning_and_no_failure(copy: Path) -> None:
    path = copy / "predict.py"
    path.write_text(path.read_text().replace('description="', 'description="A" "', 1))
    warning = r"predict\.py, line \d+: the description of \w+: Cog does not join adjacent strings: write one\n"
    assert re.search(warning, run(copy).stderr)
    ran = run(copy, "--check")
    assert ran.returncode == 0
    assert re.fullmatch(warning, ran.stderr)


@pytest.mark.slow
def test_rendering_writes_only_files_that_differ_or_are_missing(copy: Path) -> None:
    (copy / "cog.cpu.yaml").write_text("by hand\n")
    shutil.rmtree(copy / "schemas")
    ran = run(copy)
    schemas = [f"wrote schemas/{name}.json" for name in schema.class_names()]
    assert (ran.returncode, ran.stderr.splitlines()) == (0, ["wrote cog.cpu.yaml", *schemas])
    assert (copy / "cog.cpu.yaml").read_text() == (PROJECT / "cog.cpu.yaml").read_text()
    assert run(copy, "--check").returncode == 0


def test_a_changed_signature_changes_the_schema(copy: Path) -> None:
    predict = (copy / "predict.py").read_text()
    (copy / "predict.py").write_text(predict.replace("default=512", "default=511"))
    ran = run(copy, "--check")
    assert ran.returncode == 1
    assert "schemas/TextGeneration.json: not as rendered" in ran.stderr


@pytest.mark.parametrize(("name", "gpu"), [("cog.yaml", True), ("cog.cpu.yaml", False)])
def test_cogs_configuration_names_files_that_exist(name: str, gpu: bool) -> None:
    config = yaml.safe_load((PROJECT / name).read_text())
    file, _, class_name = config["predict"].partition(":")
    assert config["build"]["gpu"] is gpu
    assert (PROJECT / config["build"]["python_requirements"]).is_file()
    assert (PROJECT / file).is_file()
    assert class_name in schema.class_names()


@pytest.mark.slow
def test_the_packages_of_an_image_follow_from_the_engine_of_its_device(copy: Path) -> None:
    manifest_file = copy / "models" / "catalog" / manifest.selected().slug / "model.yaml"
    content = yaml.safe_load(manifest_file.read_text())
    for devices, files in (
        ("cpu cuda", ["cog.cpu.yaml", "cog.yaml"]),
        ("cpu", ["cog.cpu.yaml", "cog.yaml"]),
        ("cuda", ["cog.yaml"]),
    ):
        engines = [{"engine": "transformers", "device": device, "cache_gb": 1} for device in devices.split()]
        manifest_file.write_text(yaml.safe_dump(content | {"engines": engines}))
        assert run(copy).returncode == 0
        assert sorted(path.name for path in copy.glob("cog*.yaml")) == files
        for file in files:
            build = yaml.safe_load((copy / file).read_text())["build"]
            assert build["python_requirements"] == "requirements/transformers.txt"
            assert build["gpu"] == (file == "cog.yaml" and "cuda" in devices)


def test_safetensors_that_a_container_would_have_to_convert_are_refused_with_the_remedies(copy: Path) -> None:
    slug = manifest.selected().slug
    folder = copy / "models" / "catalog" / slug
    content = yaml.safe_load((folder / "model.yaml").read_text())
    content["weights"] = {"source": "hf://a/b@main", "delivery": "fetched"}
    content["engines"] = [{"engine": "openvino", "device": "cpu", "cache_gb": 1}]
    (folder / "model.yaml").write_text(yaml.safe_dump(content))
    lock = {"source": "hf://a/b@main", "resolved": "hf://a/b@" + "0" * 40}
    for names, refused in ((["config.json", "model.safetensors"], True), (list(openvino_format.FILES), False)):
        files = {name: {"sha256": "0" * 64, "size": 1} for name in names}
        (folder / "weights.lock").write_text(json.dumps({**lock, "files": files}))
        errors = run(copy).stderr
        assert ("a container cannot make openvino's files of safetensors: set delivery: baked" in errors) == refused
