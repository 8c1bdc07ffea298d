"""The verbs of the real Makefile, in a copy of the project that shares this tree's .venv and weights."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from models import manifest, runtimes, weights
from scripts.cli.files import link_or_copy
from scripts.conversion.weights import ensure
from scripts.serving import local_server
from tests.checkout import copied
from tests.template.server.live_server import LiveServer, eventually

OUTER = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MODEL", "DEVICE", "PROMPT", "INPUTS", "PORT", "PYTHON")
GREEDY = "INPUTS=-i temperature=0 -i max_tokens=24"
ODD = (
    "# 100% ünï 🐙",
    'it\'s "quoted"',
    "$HOME $(id) ${x} $$",
    "`id`; id & id | id",
    "two\nlines\n\nmore",
    r"a\b \n",
    "spaces, and a last one ",
)
ENDLESS = ["PROMPT=Once upon a time", "INPUTS=-i raw=true -i temperature=0 -i max_tokens=8000"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ENGINE", "openvino")
        for name in OUTER:
            environment.delenv(name, raising=False)
        model = manifest.selected()
        ensure(model, runtimes.choose(model))
        copy = tmp_path_factory.mktemp("project")
        copy_tracked_files(copy)
        (copy / ".venv").symlink_to(Path(sys.executable).parent.parent)
        for part in ("source", "openvino"):
            place = weights.folder(model.slug, part)
            shutil.copytree(place, copy / "weights" / model.slug / part, copy_function=link_or_copy)
        yield copy
    assert processes_in(copy) == []


def copy_tracked_files(target: Path) -> None:
    copied(target)
    for requirements in (target / "requirements").iterdir():
        os.utime(requirements, (0, 0))  # older than the stamps in .venv, so that make installs nothing


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=project, capture_output=True, text=True, timeout=120)


def start_make(project: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start make in its own process group, like a shell, with the signals of a terminal's job."""
    return subprocess.Popen(
        ["make", *arguments],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def start_server(project: Path) -> tuple[subprocess.Popen[str], str]:
    """`make serve`, ready, and its address."""
    port = local_server.free_port()
    process, address = start_make(project, "serve", f"PORT={port}"), f"http://{local_server.HOST}:{port}"
    assert any(f"at {address}, stop it with Ctrl-C" in line for line in process.stderr)
    return process, address


def processes_in(project: Path) -> list[str]:
    """The command lines of the processes that run in this folder."""
    commands = [command_in(project, process) for process in Path("/proc").glob("[0-9]*")]
    return [command for command in commands if command]


def command_in(project: Path, process: Path) -> str:
    try:
        inside = (process / "cwd").resolve(strict=True).is_relative_to(project)
        return (process / "cmdline").read_text().replace("\0", " ") if inside else ""
    except OSError:
        return ""  # it has ended


def test_make_lists_the_daily_verbs_and_help_all_lists_every_verb(project: Path):
    phony = re.search(r"^\.PHONY: (.*)$", (project / "Makefile").read_text(), re.MULTILINE)[1].split()
    done, whole = make(project), make(project, "help-all")
    assert (done.returncode, done.stderr, whole.returncode) == (0, "", 0)
    assert {"predict", "push", "check"} <= set(listed(done.stdout)) < set(listed(whole.stdout))
    assert sorted(listed(whole.stdout)) == sorted(phony)


def listed(text: str) -> list[str]:
    """The listed verbs, each with its description."""
    return re.findall(r"^  make ([a-z-]+) +\S", text, re.MULTILINE)


@pytest.mark.parametrize("text", [" ".join(ODD), ""])
def test_make_variables_reach_the_command_unchanged(project: Path, text: str):
    assert given_to_program(project, "call", f"WHAT={text}", f"INPUTS={text}") == [text, "--inputs", text]
    assert given_to_program(project, "predict", f"INPUTS={text}") == ["local", "--inputs", text]
    assert given_to_program(project, "status", f"TO={text}") == [text]
    assert given_to_program(project, "promote", f"DIGEST={text}", f"TO={text}") == ["--digest", text, text]
    assert given_to_program(project, "bench", f"URL={text}") == ["--url", text]
    push = given_to_program(project, "push", *(f"{name}={text}" for name in ("DEVICE", "UNTIL", "STAGE", "TO")))
    assert push == ["--device", text, "--until", text, "--only", text, "--create", "", text]
    number = given_to_program(project, "serve", f"PORT={text}"), given_to_program(project, "soak", f"MINUTES={text}")
    assert number == ((["--port", text], ["--minutes", text]) if text else ([], []))
    for name in ("PROMPT", "REASON", "BREAKING"):
        assert make(project, "predict", f"{name}={text}", f"PY=printenv {name} #").stdout == f"{text}\n"


def given_to_program(project: Path, *typed: str) -> list[str]:
    """The arguments that a verb passes to its program."""
    done = make(project, *typed, "PY=printf '%s\\0'")
    assert done.stderr == ""
    return done.stdout.split("\0")[1:-1]


@pytest.mark.slow
def test_only_the_text_goes_to_stdout_and_a_second_run_converts_nothing(project: Path):
    first = make(project, "predict", "PROMPT=The capital of France is", GREEDY)
    before = state_of(project)
    second = make(project, "predict", "PROMPT=The capital of France is", GREEDY)
    assert state_of(project) == before
    for done in (first, second):
        assert done.returncode == 0
        assert done.stdout == "The capital of France is Paris.\n"
        assert re.fullmatch(
            r"7 tokens · first after \d+ ms · .* · openvino on cpu · seed \d+ · finished", last_line(done.stderr)
        )


@pytest.mark.slow
def test_hostile_environment_variables_change_nothing(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Proxies that do not exist, an ASCII terminal, a read-only TMPDIR, and misleading Python variables."""
    hostile = {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "socks5://127.0.0.1:9",
        "NO_PROXY": "",
        "TMPDIR": "/proc",
    }
    hostile |= {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONSAFEPATH": "1"}
    for name, value in {**hostile, "PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    done = make(project, "predict", "PROMPT=The capital of France 🇫🇷 is", GREEDY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert re.fullmatch(r"\d+ tokens \\xb7 first after \d+ ms .*", last_line(done.stderr))
    called = make(project, "call", "WHAT=local", "INPUTS=prompt='The capital of France is' temperature=0 max_tokens=24")
    assert (called.returncode, called.stdout) == (0, "The capital of France is Paris.\n"), called.stderr


def last_line(text: str) -> str:
    return text.splitlines()[-1]


def state_of(project: Path) -> dict[Path, int]:
    """The modification times of the files of the weights and of the stamps in .venv."""
    files = [*(project / "weights").rglob("*"), *(project / ".venv").glob(".*")]
    return {path: path.stat().st_mtime_ns for path in files}


def test_the_error_for_an_unknown_input_names_the_nearest(project: Path):
    done = make(project, "predict", "INPUTS=-i promt=Hi")
    assert (done.returncode, done.stdout) == (2, "")
    message, from_make = done.stderr.splitlines()
    assert message == "there is no input 'promt' (did you mean prompt?)"
    assert from_make.endswith("Error 2")


def test_a_missing_prompt_is_an_error_that_says_how_to_give_one(project: Path):
    done = make(project, "predict")
    assert done.returncode == 2
    assert done.stderr.startswith('say something: PROMPT="Why is the sea salty?"')


@pytest.mark.slow
@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM to make", "SIGTERM to the group"])
def test_an_interrupted_predict_cancels_its_prediction_and_leaves_no_process(project: Path, how: str):
    process = start_make(project, "predict", *ENDLESS)
    assert process.stdout.read(1)
    assert processes_in(project)
    if how == "SIGTERM to make":
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGINT if how == "Ctrl-C" else signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "cancelled" in errors
    assert "Traceback" not in errors
    eventually(lambda: processes_in(project) == [], "the end of every process")


@pytest.mark.slow
def test_serve_serves_until_interrupted(project: Path):
    process, address = start_server(project)
    LiveServer(address).assert_answers()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors
    eventually(lambda: processes_in(project) == [], "the end of every process")


@pytest.mark.slow
def test_serve_fails_when_its_worker_was_killed_and_call_reports_why(project: Path):
    process, address = start_server(project)
    long = "prompt='Once upon a time' raw=true temperature=0 max_tokens=8000"
    call = start_make(project, "call", f"WHAT={address}", f"INPUTS={long}")
    assert call.stdout.read(1)
    family = psutil.Process(process.pid).children(recursive=True)
    (worker,) = (member for member in family if "_run_worker" in " ".join(member.cmdline()))
    worker.kill()
    _, errors = call.communicate(timeout=20)
    _, log = process.communicate(timeout=5)
    assert call.returncode == process.returncode == 2
    assert "the prediction failed: Worker crashed" in errors
    assert "the worker, which runs the model, has died" in log
    assert "the server has ended, see its log above: make serve starts it again" in log
    assert "Traceback" not in errors + log


def test_setup_reports_a_missing_python_in_one_line(tmp_path: Path):
    copy_tracked_files(tmp_path)
    done = make(tmp_path, "setup", "PYTHON=/nonexistent", "ENGINE=openvino")
    message, from_make = done.stderr.splitlines()
    assert done.returncode == 2
    assert message.startswith("no Python from 3.10 to 3.13 here (/nonexistent): install one")
    assert from_make.startswith("make: *** ")
    assert not (tmp_path / ".venv").exists()
