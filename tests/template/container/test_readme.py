"""A newcomer with Docker and cog follows the container blocks of README and card; Replicate is a local one.

The README's first block, which makes .venv and the weights, is tested in tests/template/test_readme.py.
"""

import os
import shutil
from pathlib import Path

from models import manifest
from models.manifest import PROJECT
from scripts.hub import usage
from tests.services.replicate import Replicate
from tests.template import toy
from tests.template.readme import Newcomer, blocks, needs_docker

IS_A_CLONE = """\
git init --quiet && git add --all
git -c user.name=Ada -c user.email=ada@example.com commit --quiet --message "what git clone brings"
"""


def test_every_container_block_of_the_readme_and_of_the_card_works(tmp_path: Path, r8_im: str) -> None:
    newcomer = Newcomer(tmp_path)
    toy.copy_project(newcomer.clone)
    shutil.copytree(PROJECT / "weights", newcomer.clone / "weights", copy_function=os.link)
    bare, build, push = [block for block in blocks() if needs_docker(block)]
    assert newcomer.types(IS_A_CLONE).returncode == 0

    for block in (bare, build):
        done = newcomer.types(block)
        assert done.returncode == 0, done.stderr
        assert "Paris" in done.stdout

    of_card = [
        block.code for block in usage.blocks(manifest.selected(), "acme/smollm2", None) if block.language == "sh"
    ]
    try:
        for block in of_card:
            done = newcomer.types(block)
            assert done.returncode == 0, done.stderr
            assert "Paris" in done.stdout
    finally:
        newcomer.types(f"docker rm --force {manifest.selected().slug}")

    with Replicate() as service:
        newcomer.environment |= {"REPLICATE_BASE_URL": service.address, "REPLICATE_API_TOKEN": service.token}
        done = newcomer.types(push)
    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stdout.splitlines() if line.startswith(f"{r8_im}/acme/smollm2@sha256:")]
    assert len(printed) == 1
