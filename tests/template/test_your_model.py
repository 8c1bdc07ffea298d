"""docs/your-model.md, followed word for word in a fork for each kind of model."""

import json
import shlex
from collections.abc import Iterator

import docker
import pytest

from tests.template import toy, your_model
from tests.template.container import host
from tests.template.your_model import MODELS, TESTING, Fork

pytestmark = pytest.mark.slow  # each fork converts its model, starts servers of it, and runs its own make test
RENDERED = {".dockerignore", "README.md", "cog.cpu.yaml", "cog.yaml"}
ZEROS = """
from safetensors.torch import load_file, save_file
path = "training/my-net.safetensors"
save_file({name: 0 * value for name, value in load_file(path).items()}, path)
"""
of_a_network_of_ones_own = pytest.mark.parametrize("name", ["my-net"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=sorted(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Iterator[docker.DockerClient]:
    with host.engine(tmp_path_factory, testrun_uid) as client:
        yield client


@pytest.fixture(scope="module")
def fork(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    with your_model.forked(name, tmp_path_factory.mktemp(name)) as made:
        yield made


def test_a_new_model_of_a_known_task_touches_its_own_folder_and_rendered_files(fork: Fork, name: str) -> None:
    if "TASK=custom" in MODELS[name][0]:
        own = ("models/tasks/my_net/", "training/my", "tests/fork/test_my_net.py", "scripts/tasks/my_net.py")
        own += ("predict.py", "schemas/MyNet.json")
    else:
        own = ()
    others = {path for path in fork.changed() if not path.startswith((f"models/catalog/{name}/", *own))}
    assert others <= RENDERED


def test_it_answers(fork: Fork, name: str) -> None:
    assert fork.types(MODELS[name][1]).strip()


@of_a_network_of_ones_own
def test_cpu_and_gpu_images_take_the_engines_packages_and_its_class(fork: Fork) -> None:
    for file, gpu in (("cog.yaml", "true"), ("cog.cpu.yaml", "false")):
        config = (fork.folder / file).read_text(encoding="utf-8")
        assert f"gpu: {gpu}" in config
        assert "python_requirements: requirements/torch.txt" in config
        assert "predict: predict.py:MyNet" in config
    schema = json.loads((fork.folder / "schemas" / "MyNet.json").read_text(encoding="utf-8"))
    assert list(schema["components"]["schemas"]["Input"]["properties"]) == ["image", "top_k"]


@of_a_network_of_ones_own
def test_make_predict_and_make_call_show_its_scores(fork: Fork) -> None:
    heading, *scores = fork.types("make predict INPUTS='image=@docs/demo.png top_k=1'").splitlines()
    assert heading.split() == ["label", "score"]
    assert len(scores) == 1
    answer = fork.types("make call WHAT=local INPUTS=image=@docs/demo.png")
    assert {line.split()[0] for line in answer.splitlines()[1:]} == {"circle", "square", "triangle"}


@of_a_network_of_ones_own
def test_its_modules_keep_to_the_layers(fork: Fork) -> None:
    tests = "tests/template/models/test_layers.py tests/template/test_imports.py"
    assert " passed" in fork.types(f".venv/bin/python -m pytest -q {tests}")


@of_a_network_of_ones_own
def test_new_weights_are_served_once_they_are_pinned(fork: Fork) -> None:
    changed = [fork.folder / "training/my-net.safetensors", fork.folder / "models/catalog/my-net/weights.lock"]
    before = [path.read_bytes() for path in changed]
    fork.types(f".venv/bin/python -c {shlex.quote(ZEROS)}")
    fork.types("make weights-lock")
    answer = fork.types("make predict INPUTS=image=@docs/demo.png")
    for path, content in zip(changed, before, strict=True):
        path.write_bytes(content)
    assert {line.split()[1] for line in answer.splitlines()[1:]} == {"0.3333"}


@of_a_network_of_ones_own
def test_weights_of_another_network_are_refused(fork: Fork) -> None:
    network = fork.folder / "models/tasks/my_net/network.py"
    before = network.read_text(encoding="utf-8")
    network.write_text(before.replace("Conv2d(3, 8,", "Conv2d(3, 4,").replace("Conv2d(8, 16", "Conv2d(4, 16"))
    done = toy.run(fork.folder, "make", "predict", "INPUTS=image=@docs/demo.png")
    network.write_text(before, encoding="utf-8")
    assert "the weights are not those of Network" in done.stderr
    assert "train it again, then make weights-lock" in done.stderr


def test_its_own_tests_are_green(fork: Fork) -> None:
    for line in TESTING:
        output = fork.types(line)
    assert " passed" in output
    assert "skipped" not in output
    assert "tests/template" not in output


@pytest.mark.container
def test_its_container_answers_and_passes_what_a_push_tries(fork: Fork, name: str, engine: docker.DockerClient) -> None:
    _, _, *in_a_container = MODELS[name]
    for line in in_a_container:
        output = fork.types(line)
    assert output.strip()
    if name == "my-gguf":
        tests = "CONTAINER_TESTS=required .venv/bin/python -m pytest -q tests/fork/test_container.py"
        assert "1 passed" in fork.types(tests)
    else:  # the same proof, without building the image a second time
        assert fork.types(f".venv/bin/python -c {shlex.quote(host.PROOF)}") == "[]\n"
