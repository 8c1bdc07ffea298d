"""The CPU image: its files, its labels, and the same output as on this machine."""

import json
import re
import shlex
import sys
from pathlib import Path

import docker
import pytest
from packaging.utils import canonicalize_name

from models import runtimes
from models.manifest import PROJECT, Manifest, path_of
from models.weights import lock
from models.weights.files import described
from scripts.contract import schema
from scripts.contract.openapi_frame import COG_VERSION
from scripts.dependencies import pins
from tests import commands

from . import host

INPUTS = ["-i", "temperature=0", "-i", "max_tokens=24"]
PROMPT = "The capital of France is"


@pytest.fixture(scope="module")
def labels(engine: docker.DockerClient, cpu_image: str) -> dict[str, str]:
    return engine.images.get(cpu_image).labels


@pytest.fixture(scope="module")
def answer(cpu_image: str) -> str:
    return host.joined(commands.succeed("cog", "predict", cpu_image, "-i", f"prompt={PROMPT}", *INPUTS))


def test_cog_build_works_without_the_projects_scripts(engine: docker.DockerClient, cpu_image: str) -> None:
    tag = "template:direct"
    commands.succeed("cog", "build", "-f", "cog.cpu.yaml", "--use-cog-base-image=false", "-t", tag)
    assert host.files_in(engine, tag) == host.files_in(engine, cpu_image)


def test_the_image_is_smaller_than_a_gigabyte(engine: docker.DockerClient, cpu_image: str) -> None:
    assert engine.images.get(cpu_image).attrs["Size"] < 1e9


def test_the_image_contains_exactly_the_files_that_run(
    engine: docker.DockerClient, model: Manifest, cluttered: str
) -> None:
    code = commands.succeed("git", "ls-files", "--cached", "--others", "--exclude-standard", "models/*.py")
    names = ("model.yaml", "weights.lock", "LICENSE", "NOTICE")  # a licence is kept with its weights
    catalog = {f"models/catalog/{model.slug}/{name}" for name in names}
    weights = Path(model.slug) / runtimes.part_of(model, model.engine_on("cpu"))
    baked = {f"baked/{weights / path.name}" for path in (PROJECT / "weights" / weights).iterdir()}
    at_the_top = {"predict.py", "cog.yaml", "cog.cpu.yaml", ".cog/openapi_schema.json"}
    assert host.files_in(engine, cluttered) == {*code.splitlines(), *catalog, *baked, *at_the_top}


def test_the_published_schema_is_the_one_that_cog_writes(labels: dict[str, str], model: Manifest) -> None:
    written_by_cog = json.loads(labels["run.cog.openapi_schema"])
    generated = schema.generate(model.predictor_class)
    assert json.dumps(written_by_cog, sort_keys=True) == json.dumps(generated, sort_keys=True)


def test_the_image_has_the_pinned_cog_and_no_torch(labels: dict[str, str]) -> None:
    packages = labels["run.cog.pip_freeze"].splitlines()
    assert labels["run.cog.version"] == "0.22.0"
    assert {"cog==0.22.0", "coglet==0.22.0"} <= set(packages)
    assert not [package for package in packages if package.startswith("torch")]


def test_every_package_of_the_image_has_its_version_from_requirements(labels: dict[str, str], model: Manifest) -> None:
    pinned = pins.versions(f"{model.engine_on('cpu').engine}.txt")
    packages = dict(line.split("==") for line in labels["run.cog.pip_freeze"].splitlines())
    installed = {canonicalize_name(name): version for name, version in packages.items()}
    not_listed = {"pip": pinned["pip"]}
    assert installed | not_listed == pinned | {"cog": COG_VERSION, "coglet": COG_VERSION}


def test_the_image_says_which_manifest_and_lock_it_was_built_from(labels: dict[str, str], model: Manifest) -> None:
    name = json.loads(labels["run.cog.config"])["image"]
    for path in (path_of(model.slug), lock.path_of(model.slug)):
        assert described(path).sha256 in name


def test_the_image_has_the_slots_that_predict_declares(
    engine: docker.DockerClient, cpu_image: str, model: Manifest
) -> None:
    slots = schema.max_concurrency(model.predictor_class)
    assert f"COG_MAX_CONCURRENCY={slots}" in engine.images.get(cpu_image).attrs["Config"]["Env"]


def test_cog_predict_answers(answer: str) -> None:
    assert "Paris" in answer


def test_the_image_answers_word_for_word_like_this_machine(answer: str, model: Manifest) -> None:
    command = [sys.executable, "-m", "scripts.call", "local", "-i", f"prompt={PROMPT}", *INPUTS]
    local = commands.succeed(*command, ENGINE=model.engine_on("cpu").engine)
    assert local == f"{answer}\n"


def test_make_container_predict_builds_and_answers() -> None:
    prompt = 'What is the capital of "France"?\nIt\'s'
    output = commands.succeed(
        "make", "container-predict", f"PROMPT={prompt}", "DEVICE=cpu", f"INPUTS={shlex.join(INPUTS)}"
    )
    assert re.fullmatch(r".*Paris.*\n", output)  # only the text, as make predict prints it
