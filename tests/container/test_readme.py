"""A newcomer with Docker and cog follows the README's container blocks word for word."""

from pathlib import Path

from tests.readme import Newcomer, blocks, needs_docker


def test_every_container_block_does_what_it_says(tmp_path: Path, r8_im: str) -> None:
    newcomer = Newcomer(tmp_path)
    build, push = [block for block in blocks() if needs_docker(block)]
    assert newcomer.types(blocks()[0]).returncode == 0

    done = newcomer.types(build)
    assert done.returncode == 0, done.stderr
    assert "Paris" in done.stdout

    done = newcomer.types(push)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"{r8_im}/acme/smollm2@sha256:")
