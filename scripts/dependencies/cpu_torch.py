"""python scripts/dependencies/cpu_torch.py

Prints the page from which pip gets torch without CUDA: 0.2 GB instead of 5. It is PyTorch's own, or CPU_TORCH. Prints
nothing where PyPI's torch has no CUDA (other than Linux on x86), where there is an NVIDIA GPU, or where the page cannot
be reached. Runs before any package is installed. https://pip.pypa.io/en/stable/cli/pip_install/#cmdoption-f
"""

import os
import platform
import shutil
import sys
import urllib.request

_PAGE = "https://download.pytorch.org/whl/cpu/torch/"
_SECONDS = 4


def page() -> str:
    """The page, or an empty string."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64") or shutil.which("nvidia-smi"):
        return ""
    address = os.environ.get("CPU_TORCH", _PAGE)
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=_SECONDS):
            return address
    except (OSError, ValueError):  # ValueError: it is no URL
        return ""


if __name__ == "__main__":
    print(page())
