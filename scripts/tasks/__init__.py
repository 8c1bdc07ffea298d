"""What the tools need to know of each task: one file for each task, found by name. No other file of scripts/ names one.

Beside these, of_encoders.py has what the tasks of text encoders share. text_generation_gpu.py and
text_generation_faithfulness.py are measurements of text generation, each run in a process of its own.

Everything below is optional; without it, the tools use only the schema and the manifest's examples:
`LIMITS`: inputs whose high values take long, each with the highest value that a fuzz case lets run to its end.
`SIZES`: the metric that has each size of a prediction, by the names of scripts/economics/receipts.py.
`load(model)`: the load of the benchmark; `TARGETS`: its targets; `sweep(model)`: endless inputs of each size;
`varied(model, choices)`: a random input; `REFUSED`: inputs that the model refuses.
`bare_engine()`: a function that runs the load's inputs without Cog; `load_engine(model, choice, folder)`: the engine
alone; `BASELINE`: a file with a class to compare with; `PEER`: a module with another library,
like scripts/benchmark/llama_cpp.py; `FAITHFULNESS(model, engine)`: how close the engine is to float32.
`CONVERTED_AS`: the kind of model for scripts/conversion, by default a decoder.
`cache_bytes_per_token(model, bytes_per_value)`: bytes that each step reads besides the weights.
`check_weights(model, lock)`: refuses weights that an engine cannot run, before they are downloaded.
`PIPELINE_TAG`: the Hub's name for the task, if different; `python_example(model, repository, inputs)`: code for the
card that runs the weights of a repository or a folder with a library.
For `make new`, `suits(repository)`: whether a model is for the task; `STARTERS`: names and inputs of examples;
`expectation(output, metrics)`: what to expect of an example's output; `engine_keys(facts, device)`: keys of an engine.
`EVALUATION`: how its models are evaluated (scripts/evaluation/task.py).
"""

import importlib
import importlib.util
from types import ModuleType
from typing import Any

from models.manifest import Manifest
from scripts.benchmark.load import Load
from scripts.contract import meaning, schema


def of(model: Manifest) -> ModuleType:
    """The file of a model's task: scripts/tasks/text_generation.py for text-generation."""
    return importlib.import_module(f"{__name__}.{model.task.replace('-', '_')}")


def attribute(model: Manifest, name: str, otherwise: Any) -> Any:
    """The value of a name in the file of a model's task, or `otherwise` if it is not there."""
    return getattr(of(model), name, otherwise)


def named(task: str, name: str, otherwise: Any) -> Any:
    """The value of a name in a task's file, or `otherwise` if the file or the name is not there."""
    module = f"{__name__}.{task.replace('-', '_')}"
    return getattr(importlib.import_module(module), name, otherwise) if importlib.util.find_spec(module) else otherwise


def load(model: Manifest) -> Load:
    """The load for a model's servers: from its task's file, or else its examples, repeated."""
    return attribute(model, "load", _examples)(model)  # type: ignore[no-any-return]


def _examples(model: Manifest) -> Load:
    streams = meaning.read(schema.generate(schema.served_class(model))).streams
    return Load([example.input for example in model.examples], streams, sizes=attribute(model, "SIZES", {}))
