"""python -m scripts.to_safetensors PICKLE [TARGET]

Converts a file pickled by torch (.bin, .pt, .pth, .ckpt) to safetensors. A separate process reads it with weights_only,
which loads tensors and refuses code. Needs torch: make setup ENGINE=transformers.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from models.errors import WeightsError
from scripts.cli import command

# https://pytorch.org/docs/stable/generated/torch.load.html, https://huggingface.co/docs/safetensors/api/torch
_CONVERT = """
import sys, torch
from safetensors.torch import save_file
import zipfile
found = torch.load(sys.argv[1], map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(sys.argv[1]))
while isinstance(found, dict) and not any(isinstance(value, torch.Tensor) for value in found.values()):
    nested = [value for value in found.values() if isinstance(value, dict)]
    if len(nested) != 1:
        sys.exit("it holds no plain state dict")
    found = nested[0]
tensors = {name: value.contiguous().clone() for name, value in found.items() if isinstance(value, torch.Tensor)}
save_file(tensors, sys.argv[2], metadata={"format": "pt"})
print(f"{len(tensors)} tensors, {sum(value.numel() for value in tensors.values()):,} parameters")
"""


def main(argv: list[str]) -> int:
    return command.run(convert, argv, "scripts.to_safetensors")


def convert(
    pickle: Annotated[Path, typer.Argument(help="the file pickled by torch")],
    target: Annotated[Path | None, typer.Argument(help="by default beside it, ending in .safetensors")] = None,
) -> None:
    """Convert a pickled state dict to safetensors, without running anything in it."""
    target = target or pickle.with_suffix(".safetensors")
    if not pickle.is_file():
        raise command.UsageError(f"there is no file {pickle}")
    if target.exists():
        raise command.UsageError(f"{target} already exists: remove it, or name another target")
    new = target.with_name(f".{target.name}")
    try:
        ran = subprocess.run([sys.executable, "-c", _CONVERT, pickle, new], capture_output=True, text=True)
        if ran.returncode != 0:
            reason = next((line for line in reversed(ran.stderr.splitlines()) if line.strip()), "no reason given")
            raise WeightsError(f"{pickle} was not converted: {_advice(ran.stderr) or reason.strip()}")
        os.replace(new, target)
    finally:
        new.unlink(missing_ok=True)
    print(f"{target}: {ran.stdout.strip()}")


def _advice(output: str) -> str:
    if "No module named" in output:
        return "torch is missing: make setup ENGINE=transformers"
    if "weights_only" in output or "Unsupported" in output:
        return "it contains more than tensors, which would run code; ask its authors for safetensors"
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
