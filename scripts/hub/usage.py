"""The card's usage examples, as code that runs: transformers, the container, HTTP, and Replicate's clients."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.manifest import Manifest
from scripts import tasks
from scripts.contract import schema


@dataclass(frozen=True)
class Block:
    """A piece of code with a title; `before`: a sentence in front of it."""

    title: str
    language: str
    code: str
    before: str = ""


def blocks(model: Manifest, hub: str, replicate: str | None) -> list[Block]:
    """The blocks in the card's order; `hub` and `replicate`: OWNER/NAME."""
    found = [*_library(model, hub), *_container(model)]
    return [*found, *_replicate(model, replicate)] if replicate else found


def library_of(model: Manifest) -> str | None:
    """The Python library that loads the published weights: transformers, a library based on it, or openvino."""
    names = {choice.engine for choice in model.engines}
    if "transformers" not in names:
        return "openvino" if "openvino" in names else None
    example = _python_example(model, model.slug)
    return example[0] if example else "transformers"


def example_input(model: Manifest) -> dict[str, Any]:
    """The first example's input that a command line can express, because it has only plain values."""
    inputs = [example.input for example in model.examples]
    plain = [given for given in inputs if not any(isinstance(value, dict | list) for value in given.values())]
    return (plain or inputs)[0]


def _python_example(model: Manifest, hub: str) -> tuple[str, str] | None:
    """The library and code from the task's file; None if it has none for such an input."""
    write = tasks.attribute(model, "python_example", None)
    found: tuple[str, str] | None = write(model, hub, example_input(model)) if write else None
    return found


def _library(model: Manifest, hub: str) -> Iterator[Block]:
    """A block if the weights are published."""
    may_have = model.release and set(model.release.accesses) != {"api-only"}
    is_loaded = any(choice.engine == "transformers" for choice in model.engines)
    if may_have and is_loaded and (example := _python_example(model, hub)):
        library, code = example
        yield Block(f"Python, with {library}", "python", code, f"`pip install {library} torch`")


def _container(model: Manifest) -> Iterator[Block]:
    inputs, device = example_input(model), "cuda" if all(one.device == "cuda" for one in model.engines) else "cpu"
    image = f"{model.slug}:{device}"
    words = " ".join(f"-i {shlex.quote(f'{name}={_word(value)}')}" for name, value in inputs.items())
    predict = f"make image MODEL={model.slug} DEVICE={device}\ncog predict {image} \\\n  {words}"
    yield Block(
        "In a container, with Cog", "sh", predict, "In a clone of the repository that the container is built from:"
    )
    gpus = "--gpus all " if device == "cuda" else ""
    body = shlex.quote(json.dumps({"input": inputs}, ensure_ascii=False))
    serve = f"""docker run --detach --rm {gpus}--name {model.slug} --publish 127.0.0.1:5000:5000 {image}
until curl --silent http://127.0.0.1:5000/health-check | grep --quiet READY; do sleep 1; done
curl --silent http://127.0.0.1:5000/predictions \\
  -H 'Content-Type: application/json' \\
  -d {body}"""
    yield Block("curl, against the container", "sh", serve)


def _replicate(model: Manifest, replicate: str) -> Iterator[Block]:
    """Both clients run a version by its id, which works for every model, not only for official ones."""
    inputs, streams = example_input(model), _streams(model)
    use = """for event in replicate.stream(version, input=inputs):
    print(event, end="")"""
    python = f"""import replicate

model = replicate.models.get({json.dumps(replicate)})
version = f"{{model.owner}}/{{model.name}}:{{model.latest_version.id}}"
inputs = {_python(inputs)}
{use if streams else "print(replicate.run(version, input=inputs))"}"""
    token = "With a token in `REPLICATE_API_TOKEN`:"
    yield Block("Python, on Replicate", "python", python, f"`pip install replicate`. {token}")
    owner, name = replicate.split("/")
    use = """for await (const event of replicate.stream(version, { input })) {
  if (event.event === "output") process.stdout.write(event.data);
}"""
    javascript = f"""import Replicate from "replicate";

const replicate = new Replicate();
const model = await replicate.models.get({json.dumps(owner)}, {json.dumps(name)});
const version = `${{model.owner}}/${{model.name}}:${{model.latest_version.id}}`;
const input = {json.dumps(inputs, ensure_ascii=False)};
{use if streams else "console.log(await replicate.run(version, { input }));"}"""
    yield Block("JavaScript, on Replicate", "javascript", javascript, f"`npm install replicate`. {token}")


def _streams(model: Manifest) -> bool:
    """Whether predict() of the model's class yields its output in pieces."""
    output: Mapping[str, Any] = schema.generate(schema.served_class(model))["components"]["schemas"]["Output"]
    return output.get("x-cog-array-type") == "iterator"


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _python(value: Any) -> str:
    """A value as Python code, with double quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {_python(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_python, value)) + "]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
