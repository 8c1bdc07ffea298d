"""What the tools must know of each task: one file a task, found by its name. No other file of scripts/ names a task.

A file may leave out what is here, and everything works from the schema and the manifest's examples alone:
`LIMITS`: inputs whose high values take long, each with the highest that a case of the fuzz lets run to its end.
`SIZES`: the metric that has each size of a prediction, by the names of scripts/economics/receipts.py.
`load(model)`: what its servers are measured with; `TARGETS`: what that is held against; `sweep(model)`: endless inputs
of each size; `varied(model, choices)`: a random input; `REFUSED`: inputs that the model refuses.
`bare_engine()`: what runs the inputs of the load without Cog; `load_engine(model, choice, folder)`: the engine alone;
`BASELINE`: a file with a class to compare with.
`CONVERTED_AS`: what scripts/conversion takes its safetensors for, by default a decoder.
`cache_bytes_per_token(model, bytes_per_value)`: what each step of a prediction reads beside the weights.
`check_weights(model, lock)`: refuses weights that an engine cannot run, before they are downloaded.
`PIPELINE_TAG`: the Hub's word for the task, where that is another; `python_example(model, repository, said)`: code that
asks the weights of a repository or a folder by a library, as it is shown in the card.
For `make new`, `suits(repository)`: whether a model is one for the task; `STARTERS`: names and inputs of examples;
`expectation(output, metrics)`: what must hold of one from now on; `engine_keys(facts, device)`: keys of an engine.
`EVALUATION`: how its models are judged (scripts/evaluation/task.py).
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


def fact(model: Manifest, name: str, otherwise: Any) -> Any:
    """What the file of a model's task has under a name, or `otherwise` where it says nothing."""
    return getattr(of(model), name, otherwise)


def named(task: str, name: str, otherwise: Any) -> Any:
    """What the file of a task has under a name, or `otherwise` where there is no such file or it says nothing."""
    module = f"{__name__}.{task.replace('-', '_')}"
    return getattr(importlib.import_module(module), name, otherwise) if importlib.util.find_spec(module) else otherwise


def load(model: Manifest) -> Load:
    """What a model's servers are measured with: what its task says, or its examples, again and again."""
    return fact(model, "load", _examples)(model)  # type: ignore[no-any-return]


def _examples(model: Manifest) -> Load:
    streams = meaning.read(schema.generate(schema.served_class(model))).streams
    return Load([example.input for example in model.examples], streams, sizes=fact(model, "SIZES", {}))
