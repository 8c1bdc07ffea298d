"""make new TASK=custom writes a network of one's own that is trained, served, fuzzed, benchmarked and tested."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.template import toy
from tests.template.toy import succeed

pytestmark = pytest.mark.slow  # torch is imported by each of its commands: a minute in all
SLUG = "my-net"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("custom")
    toy.copy_project(copy)
    succeed(copy, "make", "new", f"NAME={SLUG}", "TASK=custom")
    return copy


def test_cpu_and_gpu_images_take_the_engines_packages_and_its_class(project: Path) -> None:
    for name, gpu in (("cog.yaml", "true"), ("cog.cpu.yaml", "false")):
        config = (project / name).read_text(encoding="utf-8")
        assert f"gpu: {gpu}" in config
        assert "python_requirements: requirements/torch.txt" in config
        assert "predict: predict.py:MyNet" in config
    schema = json.loads((project / "schemas" / "MyNet.json").read_text(encoding="utf-8"))
    assert list(schema["components"]["schemas"]["Input"]["properties"]) == ["image", "top_k"]


def test_the_checks_pass(project: Path) -> None:
    succeed(project, "make", "check")


def test_make_predict_and_make_call_answer(project: Path) -> None:
    heading, *scores = succeed(project, "make", "predict", "INPUTS=image=@docs/demo.png top_k=1").splitlines()
    assert heading.split() == ["label", "score"]
    assert len(scores) == 1
    answer = succeed(project, "make", "call", "WHAT=local", "INPUTS=image=@docs/demo.png")
    assert {line.split()[0] for line in answer.splitlines()[1:]} == {"circle", "square", "triangle"}


def test_the_fuzz_finds_nothing(project: Path) -> None:
    assert "; 0 failures" in succeed(project, ".venv/bin/python", "-m", "scripts.fuzz", "--cases", "5")


def test_the_bench_counts_predictions(project: Path) -> None:
    options = ["--only", "server", "--streams", "1", "--repeats", "1", "--starts", "1"]
    assert "predictions a second" in succeed(project, ".venv/bin/python", "-m", "scripts.bench", *options)


def test_its_fork_tests_pass(project: Path) -> None:
    output = succeed(project, ".venv/bin/python", "-m", "pytest", "-q", "-m", "not container", "tests/fork")
    assert " passed" in output
    assert "skipped" not in output


def test_its_modules_keep_to_the_layers(project: Path) -> None:
    tests = ["tests/template/models/test_layers.py", "tests/template/test_imports.py"]
    assert " passed" in succeed(project, ".venv/bin/python", "-m", "pytest", "-q", *tests)


def test_new_weights_are_served_once_they_are_pinned(project: Path) -> None:
    weights = project / "training" / f"{SLUG}.safetensors"
    zeros = (
        "from safetensors.torch import load_file, save_file\n"
        f"save_file({{name: 0 * value for name, value in load_file('{weights}').items()}}, '{weights}')"
    )
    subprocess.run([project / ".venv/bin/python", "-c", zeros], check=True)
    succeed(project, "make", "weights-lock")
    answer = succeed(project, "make", "predict", "INPUTS=image=@docs/demo.png")
    assert {line.split()[1] for line in answer.splitlines()[1:]} == {"0.3333"}


def test_weights_of_another_network_are_refused(project: Path) -> None:
    network = project / "models/tasks/my_net/network.py"
    before = network.read_text(encoding="utf-8")
    network.write_text(before.replace("Conv2d(3, 8,", "Conv2d(3, 4,").replace("Conv2d(8, 16", "Conv2d(4, 16"))
    done = toy.run(project, "make", "predict", "INPUTS=image=@docs/demo.png")
    network.write_text(before, encoding="utf-8")
    assert "the weights are not those of Network" in done.stderr
    assert "train it again, then make weights-lock" in done.stderr
