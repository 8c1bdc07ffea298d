"""docs/your-model.md, followed word for word in a fork for each kind of model."""

import shlex
from collections.abc import Iterator

import docker
import pytest

from tests.template import your_model
from tests.template.container import host
from tests.template.your_model import MODELS, TESTING, Fork

pytestmark = pytest.mark.slow  # each fork converts its model, starts servers of it, and runs its own make test
RENDERED = {".dockerignore", "README.md", "cog.cpu.yaml", "cog.yaml"}


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


def test_its_own_tests_are_green(fork: Fork) -> None:
    for line in TESTING:
        output = fork.types(line)
    assert " passed" in output
    assert "tests/template" not in output


@pytest.mark.container
def test_its_container_answers_and_passes_what_a_push_tries(fork: Fork, name: str, engine: docker.DockerClient) -> None:
    _, _, *in_a_container = MODELS[name]
    with host.without_torch(engine, f"{name}:cpu"):
        for line in in_a_container:
            output = fork.types(line)
        assert output.strip()
        if name == "my-gguf":
            tests = "CONTAINER_TESTS=required .venv/bin/python -m pytest -q tests/fork/test_container.py"
            assert "1 passed" in fork.types(tests)
        else:  # the same proof, without building the image a second time
            assert fork.types(f".venv/bin/python -c {shlex.quote(host.PROOF)}") == "[]\n"
