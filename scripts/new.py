"""python -m scripts.new NAME [SOURCE] [--task TASK] [--license ID] [--files NAME] [--yes] [--dry-run]

Adds a model to the catalog from a repository of the Hub (hf://ORG/NAME) or from local files (file:PATH): looks it up,
writes its manifest, locks its weights, runs three examples on the model, and keeps their results as expectations. Then
cog.yaml and all commands use it. With --task custom and no SOURCE, it makes a new task: a network in torch for you to
edit, with the training that makes its weights.
"""

import shutil
import sys
from typing import Annotated, Any

import typer

from models import manifest, weights
from models.errors import TemplateError
from models.facts import Facts
from models.weights import lock
from scripts import tasks
from scripts.cli import command, console
from scripts.cli.progress import progress
from scripts.lookup.repository import look_up
from scripts.rendering.files import out_of_date, write
from scripts.scaffold import custom, draft, trial


def main(argv: list[str]) -> int:
    return command.run(new, argv, "scripts.new")


def new(
    name: Annotated[str, typer.Argument(help="the model's name here: a folder of models/catalog")] = "",
    source: Annotated[str, typer.Argument(help="hf://ORG/NAME, hf://ORG/NAME@REVISION or file:PATH")] = "",
    task: Annotated[str, typer.Option(help="needed if several fit; custom: a network of your own")] = "",
    license: Annotated[str, typer.Option(help="its id on the Hub, needed if the repository names none")] = "",
    files: Annotated[str, typer.Option(help="which GGUF, needed if there are several")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="keep the examples' results without asking")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="look it up, print the manifest, write nothing")] = False,
) -> None:
    """Add a model to the catalog."""
    _check_name(name)
    if task == custom.TASK:
        if source or license or files:
            raise command.UsageError(
                f"TASK={custom.TASK} takes a NAME alone: docs/your-model.md says how your weights come in"
            )
        _new_task(name, dry_run)
        return
    found = look_up(source)
    chosen = draft.task_of(found, task)
    licence = draft.licence_of(found, license)
    patterns = [files] if files else draft.files_of(found)
    draft.check_loadable(found, patterns)
    print(f"{found.source}: {chosen}, {licence['id']}, {', '.join(found.architectures) or 'GGUF'}", file=sys.stderr)
    keys = draft.manifest_of(chosen, found, licence, patterns, Facts(), size=0)
    if dry_run:
        print(draft.text_of(keys), end="")
        return
    folder = manifest.path_of(name).parent
    try:
        _write(name, keys)
        locked = _locked(name)
        keys = draft.manifest_of(chosen, found, licence, patterns, locked.facts, locked.size)
        _write(name, keys)
        _with_examples(name, keys, yes)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # an incomplete model must not stay; its weights are kept
        raise
    _serve(name, f"{manifest.path_of(name)} is written from {found.source}")


def _new_task(name: str, dry_run: bool) -> None:
    """Make a task with one model, from the example of a network of your own."""
    texts = custom.new_files(name)
    if dry_run:
        print("\n".join(f"would write {path}" for path in texts))
        return
    with custom.written(texts):
        custom.train(name)
        _locked(name)
        custom.check_examples(manifest.load(name))
    module = name.replace("-", "_")
    _serve(name, f"the network is models/tasks/{module}/network.py, and training/{module}.py makes its weights")


def _serve(name: str, written: str) -> None:
    write(out_of_date(manifest.load(name)))
    print(
        f"\n{written}; {name} is served from now on. Next:\n"
        "  make predict          one prediction\n"
        "  make test             its own tests, tests/fork\n"
        "  make image            its container",
        file=sys.stderr,
    )


def _check_name(name: str) -> None:
    example = "make new NAME=my-model SOURCE=hf://ORG/NAME"
    if not name:
        raise command.UsageError(f"say the model's name and source: {example}")
    if not name.replace("-", "").replace(".", "").isalnum() or name != name.lower():
        raise command.UsageError(
            f"{name!r} is not a valid name: small letters, digits, dots and hyphens, like my-model"
        )
    if name in manifest.slugs():
        raise TemplateError(f"there is a model {name} already: take another NAME, or edit {manifest.path_of(name)}")


def _write(name: str, keys: dict[str, Any]) -> None:
    path = manifest.path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(draft.text_of(keys), encoding="utf-8")


def _locked(name: str) -> lock.Lock:
    """Pin the weights; refuse weights that no engine can run."""
    model = manifest.load(name)
    with weights.one_at_a_time(model):
        made = weights.make_lock(model, progress())
    if check := tasks.attribute(model, "check_weights", None):
        check(model.with_facts(made.facts), made)
    lock.write(model, made)
    print(f"{made.resolved}: files: {len(made.files)}, {made.size / 1e6:.1f} MB, pinned", file=sys.stderr)
    return made


def _with_examples(name: str, keys: dict[str, Any], yes: bool) -> None:
    """Run the examples, show them, and write their results as expectations."""
    model = manifest.load(name)
    outputs = trial.run(model)
    expected = draft.expectations(model, outputs)
    output = console.stdout()
    for example, answer, expectation in zip(keys["examples"], outputs, expected, strict=True):
        output.print(f"\n{example['name']}: {example['input']}\n  gave      {trial.shown(answer['output'])}")
        output.print(f"  must hold {expectation}")
        example["expect"] = expectation
    if not yes and sys.stdin.isatty() and not typer.confirm("\nkeep these examples?", default=True, err=True):
        raise TemplateError("not kept: run it again with other weights, or --yes and edit the examples")
    _write(name, keys)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
