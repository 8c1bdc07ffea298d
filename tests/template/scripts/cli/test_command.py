"""The common behaviour of all commands: exit codes, one line for a mistake, and the variable PROMPT."""

import errno
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pytest
import typer

from models.errors import TemplateError, WeightsError
from scripts.cli import command
from scripts.cli.command import UsageError

PROJECT = Path(__file__).parents[4]
HERE = Path(__file__).relative_to(PROJECT)


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def greet(name: Annotated[str, typer.Option("-n", "--name")] = "you", count: int = 1) -> None:
    print(f"hello {name} {count}")


def test_success_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(greet, ["-n", "Ada", "--count", "2"], "scripts.greet") == 0
    assert capsys.readouterr() == ("hello Ada 2\n", "")


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ("", []),
        ("a=1 b=2", ["a=1", "b=2"]),
        ("""a='costs $5, "not" $HOME'""", ['a=costs $5, "not" $HOME']),
        ('a="two \\"words\\""\nb=2\n', ['a=two "words"', "b=2"]),
        ("a='two\nlines' *.png # $(id)", ["a=two\nlines", "*.png", "#", "$(id)"]),
    ],
)
def test_inputs_are_split_like_in_a_shell_without_expansion(inputs: str, words: list[str]) -> None:
    given: list[str] = []

    def take(pairs: Annotated[list[str], typer.Argument()] = []) -> None:
        given.extend(pairs)

    assert command.run(take, ["first", "--inputs", inputs, "last"], "scripts.take") == 0
    assert given == ["first", *words, "last"]


def test_inputs_with_an_open_quote_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(greet, ["--inputs", "-n 'Ada"], "scripts.greet") == 2
    assert capsys.readouterr().err == "INPUTS=-n 'Ada: no closing quotation: write it as for a shell\n"


@pytest.mark.parametrize("code", [0, 1, 130])
def test_a_command_can_choose_its_exit_code(code: int) -> None:
    assert command.run(lambda: code, [], "scripts.own") == code


@pytest.mark.parametrize("error", [TemplateError("x is wrong: do y"), WeightsError("x is wrong: do y")])
def test_a_refusal_exits_with_1_and_prints_only_the_reason(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run(raising(error), [], "scripts.refuse") == 1
    assert capsys.readouterr() == ("", "x is wrong: do y\n")


def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(raising(UsageError("say something")), [], "scripts.usage") == 2
    assert capsys.readouterr() == ("", "say something\n")


@pytest.mark.parametrize(
    ("argv", "names"), [(["--nam", "Ada"], "--nam"), (["--count", "many"], "--count"), (["surprise"], "surprise")]
)
def test_a_wrong_option_exits_with_2_and_names_it_and_the_help(
    argv: list[str], names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run(greet, argv, "scripts.greet") == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert names in errors
    assert "see python -m scripts.greet --help" in errors


def test_help_exits_with_0_and_names_the_command_and_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(greet, ["--help"], "scripts.greet") == 0
    output = capsys.readouterr().out
    assert "python -m scripts.greet" in output
    assert "--name" in output


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_cancelling_exits_with_130(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(raising(error), [], "scripts.cancel") == 130
    assert capsys.readouterr().err == "\ncancelled\n"


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_real_signal_ends_a_real_process_with_130_and_a_second_signal_is_ignored(
    first: signal.Signals,
) -> None:
    code = """
import sys, time
from scripts.cli import command
def wait() -> None:
    try:
        print("waiting", flush=True)
        time.sleep(30)
    finally:
        print("cleaning up", flush=True)
        time.sleep(0.5)
        print("clean", flush=True)
sys.exit(command.run(wait, [], "scripts.wait"))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(first)
    assert process.stdout.readline() == "cleaning up\n"
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=10)
    assert (process.returncode, output, errors) == (130, "clean\n", "\ncancelled\n")


def test_signal_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert command.run(raising(KeyboardInterrupt()), [], "scripts.cancel") == 130
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def divide() -> None:
    1 / 0  # noqa: B018


def read_directory() -> None:
    Path("/tmp").read_text(encoding="utf-8")


def read_json() -> None:
    json.loads("{")


def import_missing() -> None:
    importlib.import_module("surely_missing")


UNEXPECTED = [
    (
        divide,
        f"ZeroDivisionError: division by zero ({HERE}:{{line}}): DEBUG=1 shows the trace",
    ),
    (read_directory, "/tmp: is a directory: DEBUG=1 shows the trace"),
    (
        read_json,
        "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1) "
        f"({HERE}:{{line}}): DEBUG=1 shows the trace",
    ),
    (
        import_missing,
        f"the package surely_missing is not installed for {sys.executable}: make setup",
    ),
    (
        raising(OSError(errno.ENOSPC, "No space left on device", "/weights/x")),
        "/weights/x: no space left on device: free some space there, or choose another folder (TMPDIR for temporary "
        "files)",
    ),
    (
        raising(PermissionError(errno.EACCES, "Permission denied", "/x")),
        "/x: permission denied: check its owner and permissions",
    ),
    (raising(RuntimeError()), f"RuntimeError ({HERE}:"),
    (raising(ValueError("two\nlines " + "x" * 1000)), "ValueError: two lines xxxx"),
]


@pytest.mark.parametrize(("act", "message"), UNEXPECTED)
def test_an_unexpected_error_is_one_line_and_debug_shows_the_traceback(
    act: Callable[[], None], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = message.format(line=act.__code__.co_firstlineno + 1)
    monkeypatch.delenv("DEBUG", raising=False)
    assert command.run(act, [], "scripts.broken") == 1
    output, errors = capsys.readouterr()
    assert (output, len(errors.splitlines())) == ("", 1)
    assert errors.startswith(line)
    assert len(errors) < 700
    monkeypatch.setenv("DEBUG", "1")
    assert command.run(act, [], "scripts.broken") == 1
    errors = capsys.readouterr().err
    assert errors.startswith("Traceback (most recent call last):")
    assert errors.splitlines()[-1].startswith(line)


def test_missing_packages_are_reported_in_one_line() -> None:
    code = "import sys; sys.modules['typer'] = None; import runpy; runpy.run_module('scripts.doctor')"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    message = f"the package typer is not installed for {sys.executable}: make setup, then .venv/bin/python -m ...\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


def test_debug_shows_what_caused_a_refusal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        try:
            divide()
        except ZeroDivisionError as error:
            raise TemplateError("x is 0: make it 1") from error

    monkeypatch.setenv("DEBUG", "1")
    assert command.run(refuse, [], "scripts.refuse") == 1
    errors = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in errors
    assert errors.endswith("x is 0: make it 1\n")


def test_characters_that_the_terminal_cannot_show_are_escaped() -> None:
    code = """
import sys
from scripts.cli import command
def say() -> None:
    print("caf\\u00e9 \\U0001f600")
    print("\\u6f22", file=sys.stderr)
sys.exit(command.run(say, [], "scripts.say"))
"""
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"caf\\xe9 \\U0001f600\n", b"\\u6f22\n")
