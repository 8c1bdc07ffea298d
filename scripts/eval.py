"""python -m scripts.eval [--data FILE.jsonl] [--metrics exact_match,f1] [--against MODEL, MODEL@ENGINE or FILE.jsonl]

Lets the selected model answer a file of inputs through the adapter that serves it, scores the answers with the task's
metrics and confidence intervals, and writes evals/<model>/. An interrupted run continues.
"""

import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from models import manifest, runtimes
from models.engine import EngineChoice
from models.errors import TemplateError
from models.manifest import PROJECT, Manifest
from models.strict import suggestion
from scripts import tasks
from scripts.cli import command
from scripts.contract import schema
from scripts.conversion import weights
from scripts.evaluation import answers, data, receipt, side_by_side
from scripts.evaluation.answers import Answers
from scripts.evaluation.data import Data
from scripts.evaluation.task import Evaluation
from scripts.hub import measured

EXAMPLES = PROJECT / "examples" / "evaluation"


def main(argv: list[str]) -> int:
    """Evaluate; 0 if it was done, regardless of the figures."""
    return command.run(evaluate, argv, "scripts.eval")


def evaluate(
    path: Annotated[str, typer.Option("--data", help="JSONL; by default the task's own, in examples/evaluation")] = "",
    metrics: Annotated[str, typer.Option(help="only these, separated by commas; by default those of each line")] = "",
    against: Annotated[str, typer.Option(help="a model, MODEL@ENGINE, or the answers of an earlier version")] = "",
    dataset: Annotated[str, typer.Option(help="the data's dataset on the Hub: ORG/NAME or ORG/NAME@REVISION")] = "",
    task_id: Annotated[str, typer.Option(help="the task in the dataset's eval.yaml")] = "",
) -> None:
    """Evaluate the selected model and write the receipt."""
    model = manifest.selected()
    evaluation = _evaluation(model)
    benchmark = _benchmark(dataset, task_id)
    wanted = _metrics(evaluation, metrics)
    asked = data.read(Path(path) if path else EXAMPLES / f"{model.task}.jsonl", _inputs(model), evaluation, wanted)
    theirs = _theirs(asked, metrics, against) if against else None
    choice = runtimes.choose(model)
    target = receipt.path_of(model, choice, asked.path)
    ours = _answers(model, choice, evaluation, asked)
    result = receipt.of(model, choice, asked, ours, benchmark, _command(model, asked, metrics))
    if theirs:
        result["against"] = side_by_side.compared(asked, ours, theirs)
    target.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _write_for_hub(result, target)
    print(f"wrote {receipt.from_here(target)}, and the answers beside it", file=sys.stderr)
    _print(result)


def _evaluation(model: Manifest) -> Evaluation:
    """How the model's task is evaluated.

    Raises:
        TemplateError: its file in scripts/tasks has no EVALUATION.
    """
    evaluation: Evaluation | None = tasks.attribute(model, "EVALUATION", None)
    if evaluation is None:
        raise TemplateError(f"{model.task} cannot be evaluated: {tasks.of(model).__file__} has no EVALUATION")
    return evaluation


def _benchmark(dataset: str, task_id: str) -> receipt.Benchmark | None:
    """The data's dataset on the Hub; None if it is not on the Hub.

    Raises:
        UsageError: only one of the two is given.
    """
    if bool(dataset) != bool(task_id):
        raise command.UsageError("DATASET=ORG/NAME needs TASK_ID=... (as in its eval.yaml), and the other way round")
    name, _, revision = dataset.partition("@")
    return receipt.Benchmark(name, task_id, revision) if dataset else None


def _metrics(evaluation: Evaluation, named: str) -> list[str]:
    """The metrics on the command line.

    Raises:
        UsageError: the task has no such metric.
    """
    wanted = [name.strip() for name in named.split(",") if name.strip()]
    for name in wanted:
        if name not in evaluation.metrics:
            raise command.UsageError(f"there is no metric {name}{suggestion(name, evaluation.metrics)}")
    return wanted


def _inputs(model: Manifest) -> dict[str, Any]:
    """The inputs of predict() with their defaults."""
    found = schema.generate(schema.served_class(model))["components"]["schemas"]["Input"]
    required = found.get("required", [])
    return {
        name: data.REQUIRED if name in required else one.get("default") for name, one in found["properties"].items()
    }


def _answers(model: Manifest, choice: EngineChoice, evaluation: Evaluation, asked: Data) -> Answers:
    """The model's answers; those of an earlier run are reused."""
    weights.ensure(model, choice)
    streams = schema.max_concurrency(schema.served_class(model))
    made_by = answers.maker(model, choice, asked)
    path = receipt.path_of(model, choice, asked.path).with_suffix(".jsonl")
    with redirect_stdout(sys.stderr):  # output of the model's setup
        return answers.collect(path, model, made_by, asked, evaluation, streams)


def _theirs(asked: Data, metrics: str, against: str) -> Answers:
    """The answers to compare with, from a file or from another model, which answers the lines that it has not yet.

    Raises:
        TemplateError: there is no such file or model, or it cannot be evaluated.
    """
    path = Path(against)
    if path.suffix != ".jsonl":
        slug, _, engine = against.partition("@")
        model = manifest.load(slug)
        choice = runtimes.choose(model, engine)
        options = ["--data", str(asked.path), "--metrics", metrics]
        environment = os.environ | {"MODEL": slug, "ENGINE": choice.engine}
        asking = [sys.executable, "-m", "scripts.eval", *options]
        if subprocess.run(asking, env=environment, stdout=subprocess.DEVNULL).returncode:
            raise TemplateError(f"{against} was not evaluated: see above")
        path = receipt.path_of(model, choice, asked.path).with_suffix(".jsonl")
    found = answers.read(path)
    if found is None:
        raise TemplateError(f"{path}: there is no such file: AGAINST=MODEL, MODEL@ENGINE, or a file of answers")
    return found


def _command(model: Manifest, asked: Data, metrics: str) -> str:
    """The command that repeats the evaluation."""
    own = [f"METRICS={metrics}"] if metrics else []
    return " ".join(["make eval", f"MODEL={model.slug}", f"DATA={receipt.from_here(asked.path)}", *own])


def _write_for_hub(result: receipt.Receipt, target: Path) -> None:
    """Write the file in .eval_results if the data is a dataset on the Hub; the Hub accepts no other data."""
    folder = target.parent / receipt.HUB_FOLDER
    path = folder / f"{target.stem}.yaml"
    if result["data"]["benchmark"]:
        folder.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(receipt.hub_entries(result), sort_keys=False, width=120), encoding="utf-8")
        print(f"wrote {receipt.from_here(path)}", file=sys.stderr)
    elif path.exists():
        path.unlink()


def _print(result: receipt.Receipt) -> None:
    """Print the figures by group, and both models side by side."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(result["title"], "metric", "", f"{result['confidence']:.0%} interval", "lines")
    for group, figures in [*result["groups"].items(), ("all", result["metrics"])]:
        for figure in figures:
            table.add_row(group, figure["title"], figure["written"], measured.interval(figure), str(figure["lines"]))
    console.print(table)
    if "against" in result:
        names = [f"{made['model']} on {made['engine']}" for made in (result["against"]["made_by"], result["made_by"])]
        console.print(side_by_side.table((names[0], names[1]), result["against"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
