"""A newcomer with Docker and cog follows the container blocks of README and card; Replicate is a local one.

The README's first block, which makes .venv and the weights, is tested in tests/template/test_readme.py, and Cog's own
command in test_bare_commands.py.
"""

import os
import shutil
import uuid
from pathlib import Path

import pytest

from models import manifest
from models.manifest import PROJECT
from scripts.hub import usage
from tests.services.replicate import Replicate
from tests.template import toy
from tests.template.readme import Newcomer, blocks, needs_docker

from . import fork

IS_A_CLONE = """\
git init --quiet && git add --all
git -c user.name=Ada -c user.email=ada@example.com commit --quiet --message "what git clone brings"
"""
_, BUILD, PUSH = filter(needs_docker, blocks())


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    """Somebody with a copy of the project."""
    person = Newcomer(tmp_path)
    toy.copy_project(person.clone)
    return person


def test_the_image_of_the_readme_and_of_the_card_answers(newcomer: Newcomer) -> None:
    shutil.copytree(PROJECT / "weights", newcomer.clone / "weights", copy_function=os.link)
    done = newcomer.types(BUILD)
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout

    slug = manifest.selected().slug
    of_card = usage.blocks(manifest.selected(), "acme/smollm2", None)
    cog, curl = [block.code for block in of_card if block.language == "sh"]
    build, _, predict = cog.partition("\n")
    assert build == f"make image MODEL={slug} DEVICE=cpu"  # the README's, with the selected model's name
    try:
        for block in (predict, curl):
            done = newcomer.types(block)
            assert done.returncode == 0, done.stderr
            assert "Paris" in done.stdout
    finally:
        newcomer.types(f"docker rm --force {slug}")


def test_the_push_of_the_readme_releases_a_model(newcomer: Newcomer, r8_im: str) -> None:
    newcomer.account = f"acme-{uuid.uuid4().hex[:8]}"  # nobody has pushed there
    fork.quicken(newcomer.clone)
    assert newcomer.types(IS_A_CLONE).returncode == 0
    with Replicate(newcomer.account) as service:
        newcomer.environment |= {"REPLICATE_BASE_URL": service.address, "REPLICATE_API_TOKEN": service.token}
        done = newcomer.types(PUSH)
    assert done.returncode == 0, done.stderr
    printed = [
        line for line in done.stdout.splitlines() if line.startswith(f"{r8_im}/{newcomer.account}/smollm2@sha256:")
    ]
    assert len(printed) == 1
