"""python -m scripts.serve [--port 5001]

Serves the selected model with Cog's real HTTP server on 127.0.0.1, without Docker, until Ctrl-C.
"""

import json
import sys
from typing import Annotated

import typer

from models import manifest, runtimes
from models.manifest import Manifest
from scripts.calling import curl
from scripts.cli import command
from scripts.contract import meaning, schema
from scripts.conversion import weights
from scripts.serving import local_server


def main(argv: list[str]) -> int:
    return command.run(serve, argv, "scripts.serve")


def serve(port: Annotated[int, typer.Option(min=1, max=65535, help="port on 127.0.0.1")] = local_server.PORT) -> int:
    """Serve the model on this machine (https://cog.run/http describes the routes)."""
    model = manifest.selected()
    weights.ensure(model, runtimes.choose(model))
    with local_server.running(model, port, log=sys.stderr.buffer) as (address, process):
        hint = f"{model.title} at {address}, stop it with Ctrl-C. Try:\n{_example(model, address)}"
        print(hint, file=sys.stderr, flush=True)
        if process.wait() != 0:
            raise local_server.ServerError("the server has ended, see its log above: make serve starts it again")
    return 0


def _example(model: Manifest, address: str) -> str:
    """A command that sends the manifest's first example, and streams if the class does."""
    streams = meaning.read(schema.generate(schema.served_class(model))).streams
    headers = ["Accept: text/event-stream"] if streams else []
    return curl.command(address, json.dumps({"input": model.examples[0].input}), *headers, options="-N")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
