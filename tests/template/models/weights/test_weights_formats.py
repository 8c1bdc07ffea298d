"""Accepted files: pickles and code are refused by name, malformed headers too, and a pickle can be converted."""

import json
import os
import pickle
import struct
from pathlib import Path

import pytest

from models.errors import WeightsError
from models.weights import formats
from tests.services.hub import Hub
from tests.template.models.weights.project import Project, gguf, safetensors

NAME = "org/name"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "model.pkl"])
def test_a_repository_of_pickles_is_refused_with_the_remedy(hub: Hub, project: Project, name: str) -> None:
    hub.add(NAME, {"config.json": b"{}", name: b"pickle"})
    message = project.refuses("weights_lock")
    assert message.startswith(f"{name} is a pickle, which runs code when it is loaded: ")
    assert f"python -m scripts.to_safetensors {name} makes a {name.partition('.')[0]}.safetensors" in message
    assert not project.lock.exists()


@pytest.mark.parametrize("name", ["model.bin", "modeling.py", "kernel.so", "model.h5", "arrays.npz"])
def test_a_file_that_can_run_code_is_refused_by_name(hub: Hub, project: Project, name: str) -> None:
    hub.add(NAME, {"model.safetensors": safetensors(100), name: b"code"})
    project.model(f"hf://{NAME}@main", "*.safetensors", name)
    assert project.refuses("weights_lock").startswith(f"{name} ")
    project.model(f"hf://{NAME}@main")
    project.does("weights_lock")
    assert list(project.locked()["files"]) == ["model.safetensors"]


def test_patterns_that_match_no_weights_are_refused_with_the_available_files(hub: Hub, project: Project) -> None:
    hub.add(NAME, {"config.json": b"{}", "name.Q4_K_M.gguf": gguf(8), "name.Q8_0.gguf": gguf(8)})
    message = project.refuses("weights_lock")
    assert "there is name.Q4_K_M.gguf, name.Q8_0.gguf: correct weights.files" in message
    project.model(f"hf://{NAME}@main", "*.Q8_0.gguf")
    project.does("weights_lock")
    assert list(project.locked()["files"]) == ["name.Q8_0.gguf"]


def file_of(tmp_path: Path, header: object, size: int) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))
    return path


def tensor(*offsets: int, shape: tuple[object, ...] = (4,), dtype: str = "U8") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ({"a": tensor(0, 4)}, 3),
        ({"a": tensor(0, 4)}, 5),
        ({"a": tensor(0, 4), "b": tensor(2, 6)}, 6),
        ({"a": tensor(0, 4), "b": tensor(6, 10)}, 10),
        ({"a": tensor(4, 8)}, 8),
        ({"a": tensor(0, 8), "b": tensor(8, 4, shape=(-4,))}, 4),
        ({"a": tensor(0, 4, shape=(2.0, 2))}, 4),
        ({"a": tensor(0, 4, dtype="F32")}, 4),
        ({"a": tensor(0, 4, dtype="PICKLE")}, 4),
        ({"a": tensor(0)}, 4),
        ({"a": tensor(0, 4, 4)}, 4),
        ({"a": [0, 4]}, 4),
        ([], 0),
        (b"", 0),
        (b"{", 0),
        (b"\xff\xfe{}", 0),
        (b'{"a":' * 50_000, 0),
    ],
)
def test_a_malformed_safetensors_header_is_refused(tmp_path: Path, header: object, size: int) -> None:
    path = file_of(tmp_path, header, size)
    with pytest.raises(WeightsError, match=r"model\.safetensors (is damaged|has a malformed|has no safetensors)"):
        formats.check_header(path)


@pytest.mark.parametrize("content", [b"", b"\x08", bytes(8)[:7], struct.pack("<Q", 1 << 62) + b"{}", b"<html>" * 99])
def test_a_header_longer_than_the_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="has no safetensors header"):
        formats.check_header(path)


def test_every_number_format_of_the_real_library_is_known(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    kinds = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
    kinds += ["uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "complex64"]
    save_file({kind: torch.zeros(3, 2).to(getattr(torch, kind)) for kind in kinds}, tmp_path / "model.safetensors")
    found = formats.safetensors(tmp_path / "model.safetensors")
    assert {one.name: one.shape for one in found} == dict.fromkeys(kinds, (3, 2))


@pytest.mark.parametrize("content", [b"<!doctype html>", b"", b"GGU"])
def test_a_web_page_named_gguf_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    for look in (formats.check_header, formats.tensors):
        with pytest.raises(WeightsError, match=r"model\.gguf is not a GGUF file"):
            look(path)


@pytest.mark.parametrize("content", [b"GGUF", b"GGUF" + bytes(60), b"GGUF\x03\0\0\0" + b"\xff" * 60])
def test_a_damaged_gguf_is_reported_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.gguf is damaged"):
        formats.tensors(path)


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.slow
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickled_state_dict_becomes_safetensors(project: Project, tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    weight = torch.arange(12.0).reshape(3, 4)
    states = {"state_dict": {"weight": weight, "tied": weight, "turned": weight.t()}, "epoch": 3}
    torch.save(states, tmp_path / "model.ckpt", _use_new_zipfile_serialization=zipped)
    ran = project.does("to_safetensors", str(tmp_path / "model.ckpt"))
    made = tmp_path / "model.safetensors"
    assert ran.stdout == f"{made}: 3 tensors, 36 parameters\n"
    assert {one.name: one.shape for one in formats.safetensors(made)} == {
        "weight": (3, 4),
        "tied": (3, 4),
        "turned": (4, 3),
    }


@pytest.mark.slow
@pytest.mark.parametrize("saved", ["torch", "pickle"])
def test_a_pickle_with_code_is_not_executed(project: Project, tmp_path: Path, saved: str) -> None:
    torch = pytest.importorskip("torch")
    evil, target = tmp_path / "evil.bin", tmp_path / "it-ran"
    if saved == "torch":
        torch.save({"weight": torch.zeros(2), "more": Malicious(target)}, evil)
    else:
        evil.write_bytes(pickle.dumps(Malicious(target)))
    message = project.refuses("to_safetensors", str(evil))
    assert message.startswith(f"{evil} was not converted: ")
    assert "it contains more than tensors, which would run code; ask its authors for safetensors" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.bin", "project"]


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"no pickle", b"<html>"])
def test_a_file_that_is_not_a_pickle_is_refused_in_one_line(project: Project, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    assert "model.pt was not converted: " in project.refuses("to_safetensors", str(tmp_path / "model.pt"))


def test_no_file_is_overwritten(project: Project, tmp_path: Path) -> None:
    for name in ("model.pt", "model.safetensors"):
        (tmp_path / name).write_bytes(b"mine")
    ran = project.run("to_safetensors", str(tmp_path / "model.pt"))
    assert (ran.returncode, ran.stderr) == (
        2,
        f"{tmp_path}/model.safetensors already exists: remove it, or name another target\n",
    )
    assert project.run("to_safetensors", str(tmp_path / "missing.pt")).returncode == 2
    assert (tmp_path / "model.safetensors").read_bytes() == b"mine"
