"""A newcomer follows the README word for word: every block without Docker, in order."""

import re

import httpx
import pytest

from tests.template.readme import Newcomer, blocks, needs_docker

pytestmark = pytest.mark.slow  # every command of the README, beginning with a new environment


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Newcomer:
    return Newcomer(tmp_path_factory.mktemp("newcomer"))


def test_every_command_block_works(newcomer: Newcomer) -> None:
    plain = [block for block in blocks() if not needs_docker(block)]
    first, inputs, serve, ask, of_weights, call, demo, space, before, publish, earn, fork = plain

    done = newcomer.types(first)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 5
    assert "openvino on cpu" in done.stderr.splitlines()[-1] or "transformers on cuda" in done.stderr.splitlines()[-1]

    done = newcomer.types(inputs)
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert "installing" not in done.stderr
    assert "downloading" not in done.stderr

    with newcomer.keeps_running(serve):
        done = newcomer.types(ask)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("event: start\n")
    assert '"status":"succeeded"' in done.stdout

    done = newcomer.types(of_weights)
    assert done.returncode == 0, done.stderr
    assert "134,515,008 parameters" in done.stdout
    assert "every byte right" in done.stdout

    done = newcomer.types(call)
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout

    with newcomer.keeps_running(demo, "stop it") as line:
        page = httpx.get(re.findall(r"http://[\d.:]+", line)[0])
    assert "SmolLM2 135M Instruct" in page.text

    done = newcomer.types(space)
    assert done.returncode == 0, done.stderr
    assert (newcomer.clone / "spaces" / "smollm2-135m-instruct" / "app.py").is_file()

    done = newcomer.types(before)
    assert done.returncode == 0, done.stderr
    assert "Built with Llama" in done.stdout

    done = newcomer.types(publish)
    assert done.returncode == 0, done.stderr
    assert "hf.co/acme/smollm2: would send" in done.stdout
    assert "hf.co/YOUR-NAME/smollm2" in done.stdout

    done = newcomer.types(earn)
    assert done.returncode == 0, done.stderr
    assert "$5,200.00" in done.stdout
    assert (newcomer.clone / "reports" / "sketch" / "report.html").is_file()

    done = newcomer.types(fork)
    assert done.returncode == 0, done.stderr
    assert "models/catalog/my-model/model.yaml" in (newcomer.clone / "cog.yaml").read_text()
