"""What runs text generation. `start` picks the first engine of the manifest that this machine can run.

Each engine is a module with `PACKAGES` (what it needs), `CONVERTER` (what it needs to make its own files),
`convert(source, folder, dtype)` and `start(manifest, choice, folder) -> Engine`.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import threading
import time
from types import ModuleType

from models import weights
from models.engines.interface import Engine, Generation, Sampling
from models.errors import EngineError
from models.manifest import EngineChoice, Manifest

ENGINES = {"openvino": "models.engines.openvino", "transformers": "models.engines.transformers"}
_WARM_STREAMS = 16


def module(engine: str) -> ModuleType:
    """The module of an engine, without the heavy packages it uses."""
    return importlib.import_module(ENGINES[engine])


def choose(manifest: Manifest) -> EngineChoice:
    """The first engine of the manifest whose device and packages are here; the variable ENGINE can name another.

    Raises:
        EngineError: none can run; says what each lacks and how to get it.
    """
    wanted = os.environ.get("ENGINE", "")
    lacks = []
    for choice in manifest.engines:
        if wanted and choice.engine != wanted:
            continue
        lack = _lack(choice)
        if lack is None:
            return choice
        lacks.append(f"{choice.engine} on {choice.device} lacks {lack}")
    if not lacks:
        known = ", ".join(sorted({choice.engine for choice in manifest.engines}))
        raise EngineError(f"{manifest.slug} has no engine {wanted!r}: set ENGINE to one of {known}")
    raise EngineError(f"no engine can run here ({'; '.join(lacks)}): make setup, or ENGINE=... make setup")


def start(manifest: Manifest) -> Engine:
    """Verify the chosen engine's weights, load them, and warm up; logs what was chosen and the time of each stage.

    Raises:
        EngineError: no engine can run here.
        WeightsError: its weights are missing or not what they should be.
    """
    choice = choose(manifest)
    print(
        f"{manifest.slug}: {choice.engine} on {choice.device} in {choice.dtype}, the first of the manifest that can run"
    )
    begun = time.monotonic()
    verified = _Verification(manifest, choice)
    for package in module(choice.engine).PACKAGES:
        importlib.import_module(package)
    imported = time.monotonic()
    try:
        engine: Engine = module(choice.engine).start(manifest, choice, weights.folder(manifest.slug, choice.engine))
    finally:
        verified.wait()  # where the weights are damaged, that is what to tell, not how their loading failed
    read = time.monotonic()
    _warm_up(engine)
    print(
        f"{choice.engine}: imported in {imported - begun:.1f} s, read and verified in {read - imported:.1f} s, "
        f"warmed up in {time.monotonic() - read:.1f} s; {engine.dtype} with {engine.attention}, "
        f"a cache of {engine.cache_tokens} tokens"
    )
    return engine


def has_cuda_device() -> bool:
    """Whether the machine has an NVIDIA GPU that its driver lists."""
    if shutil.which("nvidia-smi") is None:
        return False
    listing = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True)
    return listing.returncode == 0 and "GPU" in listing.stdout


def converter_versions(engine: str) -> dict[str, str]:
    """The installed versions of what makes the engine's files.

    Raises:
        EngineError: a package is not installed.
    """
    try:
        return {package: importlib.metadata.version(package) for package in module(engine).CONVERTER}
    except importlib.metadata.PackageNotFoundError as error:
        raise EngineError(f"making {engine}'s files needs {error.name}: make setup ENGINE={engine}") from error


def _warm_up(engine: Engine) -> None:
    """Generate as one and as many do, so that the first prediction is as fast as the tenth."""
    prompt = engine.encode("The sea is salty because")
    sampling = Sampling(max_tokens=3, temperature=0, top_p=1, top_k=0, repetition_penalty=1, seed=0, ignore_end=True)
    for streams in (1, _WARM_STREAMS):
        generations = [Generation(prompt, sampling) for _ in range(streams)]
        for generation in generations:
            engine.submit(generation)
        for generation in generations:
            for _ in generation:
                pass


def _lack(choice: EngineChoice) -> str | None:
    if choice.device == "cuda" and not has_cuda_device():
        return "an NVIDIA GPU"
    missing = [name for name in module(choice.engine).PACKAGES if importlib.util.find_spec(name) is None]
    return f"the package {missing[0]}" if missing else None


class _Verification:
    """Hashes the engine's files in a thread of its own, small ones first, while packages and weights are loaded."""

    def __init__(self, manifest: Manifest, choice: EngineChoice) -> None:
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(manifest, choice.engine))
        self._thread.start()

    def wait(self) -> None:
        """Return when all is verified.

        Raises:
            WeightsError: a file is not what it should be.
        """
        self._thread.join()
        if self._problem:
            raise self._problem

    def _run(self, manifest: Manifest, engine: str) -> None:
        try:
            weights.verify_derived(manifest, engine)
        except BaseException as problem:
            self._problem = problem
