"""The lock of local files: the hash of each, and the facts of the model."""

from collections.abc import Collection
from pathlib import Path

from models.origin import Weights
from models.weights import completeness, formats, model_facts
from models.weights.files import File, described
from models.weights.lock import Lock


def lock(
    weights: Weights,
    names: Collection[str],
    folder: Path,
    files: dict[str, File] | None = None,
    archive: File | None = None,
) -> Lock:
    """The lock of `names` in `folder`; `files`: their hashes, if they are known already.

    Raises:
        WeightsError: a header is malformed, or the model is incomplete.
    """
    for name in names:
        formats.check_header(folder / name)
    completeness.check(names, folder)
    return Lock(
        source=weights.source,
        patterns=weights.files,
        resolved=weights.source,
        archive=archive,
        facts=model_facts.read(names, folder),
        files=files or {name: described(folder / name) for name in names},
    )
