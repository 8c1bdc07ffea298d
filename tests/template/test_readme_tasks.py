"""The README's commands for the other models of the catalog, run in this clone, which has their weights."""

import re
import subprocess

import pytest

from models.manifest import PROJECT

COMMANDS = re.findall(r"`(make predict MODEL=[^`]+)`", (PROJECT / "README.md").read_text(encoding="utf-8"))
OUTPUTS = {"all-minilm-l6-v2": '"embeddings": [\n    [', "all-minilm-l6-v2-zero-shot": "label     score\nsports   "}


def test_each_model_has_its_command() -> None:
    assert [re.findall(r"MODEL=(\S+)", command) for command in COMMANDS] == [[slug] for slug in OUTPUTS]


@pytest.mark.slow  # the converter's own environment
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_what_it_says(command: str) -> None:
    ran = subprocess.run(["bash", "-c", command], cwd=PROJECT, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    slug = re.findall(r"MODEL=(\S+)", command)[0]
    assert OUTPUTS[slug] in ran.stdout
    assert "texts: 1 · openvino on cpu" in ran.stderr or "texts: 1 · transformers on cuda" in ran.stderr
