"""python -m scripts.demo [WHAT] [--port 7860] [--no-browser]

Opens the demo of the selected model in a browser. Predictions run on the server of make serve if it is running, or else
on a server that is started for the demo. WHAT names another target: http://HOST:PORT (a Cog server),
deployment:OWNER/NAME or OWNER/NAME[:VERSION] on Replicate, or image:NAME (a local image). Ctrl-C ends it.
"""

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from models import manifest, runtimes
from models.manifest import PROJECT, Manifest
from scripts.cli import command, connection
from scripts.contract import schema
from scripts.conversion import weights
from scripts.serving import local_container, local_server


def main(argv: list[str]) -> int:
    return command.run(demo, argv, "scripts.demo")


def demo(
    what: Annotated[str, typer.Argument(help="where predictions run, by default on this machine")] = "",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="of the page, by default the first from 7860")
    ] = None,
    browser: Annotated[bool, typer.Option(help="open a browser")] = True,
) -> None:
    """Open the demo of the model."""
    from scripts.hub.space import facts
    from scripts.hub.space.demo import page

    model = manifest.selected()
    with _answering(model, what) as address:
        options = {"server_port": port, "inbrowser": browser, "prevent_thread_lock": True, "quiet": True}
        try:
            shown = page.launch(facts.of(model, address), PROJECT, **options)
        except OSError as error:
            problem = f"port {port} is in use" if port else "the ports from 7860 on are in use"
            raise local_server.ServerError(f"{problem}: choose another, like make demo PORT=8860") from error
        print(f"{model.title} at {shown.local_url}, stop it with Ctrl-C", file=sys.stderr, flush=True)
        try:
            threading.Event().wait()
        finally:
            shown.close(verbose=False)


@contextmanager
def _answering(model: Manifest, what: str) -> Iterator[str]:
    """Where predictions run, as Facts names it; a server started for it ends with the block."""
    if not what and _is_served(model):
        yield local_server.SERVED
    elif not what:
        with _started(model) as address:
            yield address
    elif what.startswith("image:"):
        print("starting a container", file=sys.stderr, flush=True)
        with local_container.running(what.removeprefix("image:")) as (address, _):
            yield address
    else:
        yield what


@contextmanager
def _started(model: Manifest) -> Iterator[str]:
    """The address of a server of the model that ends with the block."""
    weights.ensure(model, runtimes.choose(model))
    print(f"starting the server of {model.slug}", file=sys.stderr, flush=True)
    with tempfile.TemporaryFile() as log, local_server.running(model, log=log) as (address, _):
        yield address


def _is_served(model: Manifest) -> bool:
    """Whether make serve's server is running, with the model's class."""
    import httpx

    try:
        document = connection.ask("GET", f"{local_server.SERVED}/openapi.json", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return False
    return bool(document == schema.generate(schema.served_class(model)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
