"""python -m scripts.call with the default model: the same text from Replicate, its image and this project."""

import signal
import subprocess
import sys
import uuid

import docker
from replicate.version import Version

from models.manifest import PROJECT
from tests import commands
from tests.services.replicate import Replicate
from tests.services.replicate_client import client_of

NAME = f"acme/call-{uuid.uuid4().hex[:12]}"
GREEDY = ("prompt=The capital of France is", "temperature=0", "max_tokens=16")
# Greedy counting continues: it does not end soon by itself.
COUNTING = ("prompt=1 2 3 4 5 6 7 8 9 10", "raw=true", "temperature=0", "max_tokens=4000")


def call(service: Replicate, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {"REPLICATE_BASE_URL": service.address, "REPLICATE_API_TOKEN": service.token}
    return commands.run(sys.executable, "-m", "scripts.call", *arguments, **variables)


def text(service: Replicate, *arguments: str) -> str:
    done = call(service, *arguments)
    assert done.returncode == 0, done.stderr
    assert service.token not in done.stdout + done.stderr
    return done.stdout


def test_changing_only_the_target_gives_the_same_text(
    service: Replicate, version: Version, cpu_image: str, address: str
) -> None:
    remote = text(service, NAME, *GREEDY)
    assert "Paris" in remote
    assert text(service, f"{NAME}:{version.id}", *GREEDY) == remote
    assert text(service, f"image:{cpu_image}", *GREEDY) == remote
    assert text(service, address, *GREEDY) == remote
    assert text(service, "local", *GREEDY) == remote


def test_a_deployment_runs_and_reports_its_cost(service: Replicate, version: Version) -> None:
    scale = {"hardware": "cpu", "min_instances": 0, "max_instances": 1}
    client_of(service).deployments.create(name="call", model=NAME, version=version.id, **scale)
    done = call(service, "deployment:acme/call", *GREEDY, "--wait", "60")
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout
    assert " on cpu" in done.stderr


def test_an_input_that_the_image_refuses_is_named(service: Replicate, version: Version, address: str) -> None:
    for what in (NAME, address):
        done = call(service, what, "prompt=Hi", "temperature=9", "--quiet")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("temperature: 9 is greater than the maximum of 5")


def test_the_container_of_an_image_is_removed_after_the_call(engine: docker.DockerClient, cpu_image: str) -> None:
    before = {each.id for each in engine.containers.list(all=True, filters={"ancestor": cpu_image})}
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.call", f"image:{cpu_image}", *COUNTING],
        cwd=PROJECT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "cancelled the prediction" in errors
    assert {each.id for each in engine.containers.list(all=True, filters={"ancestor": cpu_image})} <= before
