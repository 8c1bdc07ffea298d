"""OpenVINO's files of safetensors, made by optimum-intel in its own environment and compared with their source."""

import sys
from pathlib import Path
from typing import Any

from models.errors import EngineError
from scripts.conversion import comparison, encoder, environment

KINDS: dict[str, Any] = {"decoder": comparison, "encoder": encoder}
"""The modules that compare a converted model with its source: a language model, an encoder."""


def export(kind: str, source: Path, folder: Path, weight_format: str) -> None:
    """Convert the safetensors in `source` to OpenVINO's files in `folder`; `kind`: one of KINDS.

    Raises:
        EngineError: the environment cannot be made, the model cannot be converted, or OpenVINO computes it wrongly.
    """
    try:
        environment.run("export", kind, str(source), str(folder), weight_format)
    except EngineError as error:
        raise EngineError(f"{error}: run it with transformers, under `engines` in the manifest") from error
    difference, bound = KINDS[kind].check(folder, weight_format), KINDS[kind].BOUNDS[weight_format]
    print(f"compared with the source: a difference of {difference:.2g}, at most {bound} is allowed", file=sys.stderr)
