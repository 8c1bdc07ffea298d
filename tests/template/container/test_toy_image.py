"""The image of a toy task in plain Python: text in, a number out."""

from pathlib import Path

from tests import commands
from tests.template import toy

from . import host


def test_make_image_builds_an_image_that_passes_the_proof_of_a_push(tmp_path: Path) -> None:
    toy.copy_project(tmp_path)
    toy.add_to(tmp_path)
    commands.succeed("make", "render", f"MODEL={toy.SLUG}", cwd=tmp_path)
    commands.succeed("make", "image", "DEVICE=cpu", cwd=tmp_path, seconds=600)
    answer = commands.succeed("cog", "predict", f"{toy.SLUG}:cpu", "-i", "text=one two", "-i", "times=3", cwd=tmp_path)
    assert answer == "6\n"
    assert commands.succeed(".venv/bin/python", "-c", host.PROOF, cwd=tmp_path, seconds=600) == "[]\n"
