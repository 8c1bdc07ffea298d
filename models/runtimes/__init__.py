"""Chooses the library that runs a model on this device, and prepares the weights for it, for every task.

Each engine of a manifest is a module here with:
- `PACKAGES`: the packages that it needs to run;
- `CONVERTER`: the packages that it needs to make its own files;
- `EDITION`: increased when this project's code makes different files, so that they are made again;
- `reads(names)`: whether it loads the downloaded files as they are;
- `convert(gguf, folder, dtype)`: makes its own files from a GGUF.
An engine cannot convert safetensors, nor a GGUF with something that `unread(gguf)` names. Then an exporter, which only
scripts/ has, makes its files: `exports(names)` says whether it can, `EXPORTER` gives the versions, and
`GGUF_ARCHITECTURES` lists what `convert` handles.
"""

import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from models import weights
from models.engine import EngineChoice, EngineName
from models.errors import EngineError, TemplateError, in_words
from models.manifest import PROJECT, Manifest
from models.weights import places
from models.weights.download import Progress
from models.weights.lock import lock_of, path_of
from models.weights.progress import PlainLines

ENGINES = {name: f"models.runtimes.{name}" for name in get_args(EngineName)}
Export = Callable[[Path, Path, str], None]
"""Makes an engine's files from a GGUF or a folder of safetensors, in a new folder and in a number format."""
Load = Callable[[Any, Path], Any]
"""Loads a model from a folder, as its task needs it. Its first argument is the task's own class of EngineChoice."""


def module(engine: str) -> ModuleType:
    """The module of an engine; importing it does not import the heavy packages it uses."""
    return importlib.import_module(ENGINES[engine])


def choose(manifest: Manifest, wanted: str = "") -> EngineChoice:
    """The first engine of the manifest whose device and packages are present.

    `wanted`, or the variable ENGINE, restricts the choice to one engine.

    Raises:
        EngineError: none can run; says what each lacks and how to get it.
    """
    wanted = wanted or os.environ.get("ENGINE", "")
    refused = []
    for choice in manifest.engines:
        if wanted and choice.engine != wanted:
            continue
        missing = _missing(choice)
        if missing is None:
            return choice
        refused.append(f"{choice.engine} on {choice.device} lacks {missing}")
    if not refused:
        known = ", ".join(sorted({choice.engine for choice in manifest.engines}))
        raise EngineError(f"{manifest.slug} has no engine {wanted!r}: set ENGINE to one of {known}")
    raise EngineError(f"no engine can run here ({'; '.join(refused)}): make setup, or ENGINE=... make setup")


def start(manifest: Manifest, load: Load) -> Any:
    """Verify the weights of the chosen engine and `load` them; logs the choice and the time of each stage.

    Raises:
        EngineError: no engine can run here.
        WeightsError: its weights are missing or damaged.
    """
    try:
        choice = choose(manifest)
        why = "as ENGINE asks" if os.environ.get("ENGINE") else "the first of the manifest that can run"
        print(f"{manifest.slug}: {choice.described}, {why}")
        if manifest.weights.source:
            _find(manifest, choice)
        return _loaded(manifest, choice, load)
    except TemplateError as error:
        if (PROJECT / "Makefile").is_file():
            raise
        where = "run make in the project that this image was built from, then: make image"
        raise type(error)(f"{error} ({where})") from error


def _find(manifest: Manifest, choice: EngineChoice) -> None:
    """Decide which folder the weights are loaded from. If none has the engine's files, fetch or make them."""
    roots, to_fill, in_image = places.roots(), places.to_fill(), places.are_baked()
    for root in roots:
        places.settle(root)
        if _has(manifest, choice):
            print(f"weights from {root}")
            return
    places.settle(to_fill)
    looked, is_in_project = ", ".join(map(str, roots)), to_fill.is_relative_to(PROJECT)
    hint = " (make image would have put them into the image)" if in_image and not is_in_project else ""
    print(f"no weights for {choice.engine} in {looked}: fetching them into {to_fill}{hint}")
    try:
        ensure(manifest, choice, PlainLines())
    finally:
        places.give_to_owner(to_fill, manifest.slug)


def _has(manifest: Manifest, choice: EngineChoice) -> bool:
    """Whether the files that the engine loads are present, made by any version of its converter."""
    if part_of(manifest, choice) == weights.SOURCE:
        return weights.is_fetched(manifest)
    return weights.is_made(manifest, choice)


def _loaded(manifest: Manifest, choice: EngineChoice, load: Load) -> Any:
    """Verify the weights while they are loaded."""
    begun = time.monotonic()
    verified = _Verification(manifest, choice)
    for package in module(choice.engine).PACKAGES:
        importlib.import_module(package)
    imported = time.monotonic()
    try:
        folder = weights.folder(manifest.slug, part_of(manifest, choice))
        model = load(choice, folder)
    except TemplateError:
        raise
    except Exception as error:
        raise EngineError(
            f"{choice.engine} cannot load {folder} ({in_words(error)}): make weights-verify says whether it is damaged"
        ) from error
    finally:
        verified.wait()  # if the weights are damaged, report that, not how their loading failed
    print(
        f"{choice.engine}: imported in {imported - begun:.1f} s, "
        f"read and verified in {time.monotonic() - imported:.1f} s"
    )
    return model


def ensure(manifest: Manifest, choice: EngineChoice, progress: Progress, export: Export | None = None) -> None:
    """Download the weights and make the engine's files, unless that is done already; prints what it does.

    `export` makes OpenVINO's files from safetensors; a container has no exporter. If several processes call this, one
    does the work and the others wait for it.

    Raises:
        WeightsError, EngineError: a download or a conversion failed; says the remedy.
    """
    if is_ready(manifest, choice):
        return
    with weights.one_at_a_time(manifest):
        if is_ready(manifest, choice):
            return
        if export is None:
            _check_convertible(manifest, choice)
        if not weights.is_fetched(manifest):
            lock = lock_of(manifest)
            with _reported(
                f"downloading {lock.resolved} ({lock.size / 1e6:.0f} MB)", "downloaded, sha256 as in weights.lock"
            ):
                weights.fetch(manifest, progress)
        if part_of(manifest, choice) != weights.SOURCE:
            with _reported(f"making {choice.engine}'s files in {choice.dtype}, once", f"made {choice.engine}'s files"):
                weights.derive(manifest, choice, _versions(manifest, choice), _maker(manifest, choice, export))


def is_ready(manifest: Manifest, choice: EngineChoice) -> bool:
    """Whether the files that the engine loads are present and current; checks names, sizes and what made them."""
    if part_of(manifest, choice) == weights.SOURCE:
        return weights.is_fetched(manifest)
    return weights.is_derived(manifest, choice, _versions(manifest, choice))


def check_delivery(manifest: Manifest) -> None:
    """Refuse `fetched` weights that a container cannot convert for its engine. Without weights.lock nothing is checked.

    Raises:
        EngineError: the first engine of a device does not read them, and only the scripts can convert them.
    """
    if manifest.weights.delivery == "fetched" and path_of(manifest.slug).is_file():
        for choice in {choice.device: choice for choice in reversed(manifest.engines)}.values():
            _check_convertible(manifest, choice)


def _check_convertible(manifest: Manifest, choice: EngineChoice) -> None:
    """Refuse weights that only the scripts can convert for the engine, before anything is downloaded.

    Raises:
        EngineError: they are safetensors, or a GGUF with an architecture that the engine does not read.
    """
    engine, kind = module(choice.engine), lock_of(manifest).facts.architecture
    if part_of(manifest, choice) == weights.SOURCE or not hasattr(engine, "exports"):
        return
    if not weights.are_gguf(manifest) or kind not in (None, *getattr(engine, "GGUF_ARCHITECTURES", [kind])):
        source = f"a GGUF of {kind}" if weights.are_gguf(manifest) else "safetensors"
        raise EngineError(
            f"{manifest.slug}: a container cannot make {choice.engine}'s files of {source}: set delivery: baked and "
            "make image, take a source in OpenVINO's own format (openvino_model.xml), or transformers under `engines`"
        )


def _maker(manifest: Manifest, choice: EngineChoice, export: Export | None) -> Export:
    """The function that makes the engine's files from the downloaded ones.

    Raises:
        EngineError: there is none.
    """
    if weights.are_gguf(manifest):
        return _gguf_maker(module(choice.engine), export)
    engine = module(choice.engine)
    if export and hasattr(engine, "exports") and engine.exports(list(lock_of(manifest).files)):
        return export
    raise EngineError(f"{choice.engine} needs safetensors with a config.json, which is missing: see weights.files")


def _gguf_maker(engine: ModuleType, export: Export | None) -> Export:
    """The function that makes the engine's files from a GGUF: the exporter if the engine does not read the GGUF."""

    def make(source: Path, folder: Path, dtype: str) -> None:
        if export and hasattr(engine, "unread") and engine.unread(source):
            export(source, folder, dtype)
        else:
            engine.convert(source, folder, dtype)

    return make


def _versions(manifest: Manifest, choice: EngineChoice) -> dict[str, str]:
    """The versions of the packages that make the engine's files from the downloaded ones."""
    if weights.are_gguf(manifest):
        return converter_versions(choice.engine)
    versions: dict[str, str] = getattr(module(choice.engine), "EXPORTER", {})
    return versions


def part_of(manifest: Manifest, choice: EngineChoice) -> str:
    """The subfolder of weights/<slug>/ that the engine loads: the downloaded files, or the files made from them."""
    names = list(lock_of(manifest).files)
    return weights.SOURCE if module(choice.engine).reads(names) else choice.engine


def has_cuda_device() -> bool:
    """Whether the machine has an NVIDIA GPU that its driver lists."""
    if shutil.which("nvidia-smi") is None:
        return False
    listing = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True)
    return listing.returncode == 0 and "GPU" in listing.stdout


def converter_versions(engine: str) -> dict[str, str]:
    """The installed versions of the packages that make the engine's files, and the edition of this project's code.

    Raises:
        EngineError: a package is not installed.
    """
    maker = module(engine)
    try:
        versions = {package: importlib.metadata.version(package) for package in maker.CONVERTER}
    except importlib.metadata.PackageNotFoundError as error:
        raise EngineError(f"making {engine}'s files needs {error.name}: make setup ENGINE={engine}") from error
    return versions | {"edition": maker.EDITION}


@contextmanager
def _reported(begins: str, done: str) -> Iterator[None]:
    """Print to standard error what begins, and at the end how long it took."""
    print(begins, file=sys.stderr, flush=True)
    begun = time.monotonic()
    yield
    print(f"{done} ({time.monotonic() - begun:.1f} s)", file=sys.stderr, flush=True)


def _missing(choice: EngineChoice) -> str | None:
    if choice.device == "cuda" and not has_cuda_device():
        return "an NVIDIA GPU"
    missing = [name for name in module(choice.engine).PACKAGES if importlib.util.find_spec(name) is None]
    return f"the package {missing[0]}" if missing else None


class _Verification:
    """Verifies the engine's files in its own thread, small files first, while packages and weights are loaded.

    Always checks names, sizes and headers; checks every byte of fetched weights, or if VERIFY_WEIGHTS is `full`.
    """

    def __init__(self, manifest: Manifest, choice: EngineChoice) -> None:
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(manifest, part_of(manifest, choice)))
        self._thread.start()

    def wait(self) -> None:
        """Wait until every file is verified.

        Raises:
            WeightsError: a file is missing or damaged.
        """
        self._thread.join()
        if self._problem:
            raise self._problem

    def _run(self, manifest: Manifest, part: str) -> None:
        full = manifest.weights.delivery == "fetched" or os.environ.get("VERIFY_WEIGHTS") == "full"
        try:
            weights.verify(manifest, part, full)
        except BaseException as problem:
            self._problem = problem
