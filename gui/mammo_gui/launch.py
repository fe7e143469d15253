"""The ``mammo-gui`` command: checks what it was given, then starts the app and opens the browser.

Imports little, so that a mistake is told at once and Gradio is imported while nothing waits for it.
"""

import os
import socket
import sys
import threading
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mammo_core.library import Library

app = typer.Typer(add_completion=False)

# Read when Gradio and huggingface_hub are imported, hence here: nothing may leave this machine.
OFFLINE = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "GRADIO_SHARE": "False",
    "GRADIO_MCP_SERVER": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}

NO_LOGIN = (
    "WARNING: --host {host} lets other machines in, and mammo-gui has no login and no encryption: everybody who can "
    "reach this address can see, change and remove every exam. Use it only behind a proxy that asks who is there."
)


@dataclass(frozen=True)
class Options:
    """What the command was given, checked."""

    host: str
    library: Path | None
    model: Path | None
    data: tuple[Path, ...]
    jobs: int | None
    browser: bool


@app.command()
def main(
    library: Annotated[
        Path | None, typer.Option(help="Folder of the library; made where there is none.", show_default=False)
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 7860,
    model: Annotated[
        str | None, typer.Option(help="Model to read with this time: a bundled name, or a file.", show_default=False)
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder with prepared sets that may be trained on; repeatable.", show_default=False),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=0, max=64, help="Training jobs that run at once, from now on; 0 starts none.", show_default=False
        ),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Read mammograms in the browser. Research use only - not for diagnosis."""
    from mammo_core.errors import InputError
    from mammo_core.model_files import find_model

    try:
        chosen = None if model is None else find_model(model)
        missing = [folder for folder in data or () if not folder.is_dir()]
        if missing:
            raise InputError("--data", f"{missing[0]} is no folder")
        with _listen(host, port) as listening:
            _serve(listening, Options(host, library, chosen, tuple(data or ()), jobs, browser))
    except InputError as error:
        typer.echo(f"mammo-gui: {error}", err=True)
        raise typer.Exit(1) from None


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before anything heavy is imported; InputError where it cannot be had."""
    from mammo_core.errors import InputError

    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InputError("--host", f"{host!r} is no address of this machine ({error.strerror})") from None
    listening = socket.socket(address[0], socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere the option would let two servers share the port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address[4])
    except OSError as error:
        listening.close()
        reason = f"{port} on {host} cannot be used ({error.strerror}); choose another, for example --port {port + 1}"
        raise InputError("--port", reason) from None
    return listening


def _serve(listening: socket.socket, options: Options) -> None:
    from mammo_core.library import Library, default_folder

    with Library((options.library or default_folder()).resolve()) as library:
        os.environ.update(OFFLINE, GRADIO_TEMP_DIR=str(library.folder / "temporary"))
        if options.model is not None:
            library.models.only_now(options.model)
        from mammo_gui.security import is_loopback

        if not is_loopback(options.host):
            typer.secho(NO_LOGIN.format(host=options.host), err=True, bold=True)
        _run(listening, library, options)


def _run(listening: socket.socket, library: "Library", options: Options) -> None:
    import uvicorn

    from mammo_gui.app import build_app
    from mammo_gui.training import Training
    from mammo_gui.worker import Worker
    from mammo_train.jobs.queue import Queue
    from mammo_train.jobs.store import Jobs

    worker = Worker(library)
    jobs = Jobs(library.folder / "jobs")
    if options.jobs is not None:
        jobs.run_at_once(options.jobs)
    queue = Queue(jobs, jobs.at_once)
    config = uvicorn.Config(
        build_app(library, worker, Training(library, jobs, options.data), options.host),
        log_level="warning",
        access_log=False,
        # An open page asks without end: Ctrl+C must not wait for it.
        timeout_graceful_shutdown=1,
    )

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            """Say that it was heard, and end the worker while the connections are closed."""
            if not self.should_exit:
                typer.echo("mammo-gui is finishing ...")
                worker.finish()
            super().handle_exit(sig, frame)

    server = Server(config)
    shown = f"[{options.host}]" if ":" in options.host else options.host
    url = f"http://{shown}:{listening.getsockname()[1]}/"

    def greet() -> None:
        typer.echo(f"mammo-gui is running at {url}  (library: {library.folder})\nPress Ctrl+C to end it.")
        if options.browser:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    worker.start()
    queue.start()
    listening.listen(128)
    greet()
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn raises it anew when it has ended
        pass
    finally:
        queue.stop()
        ended = worker.stop()
    if not ended:
        # An exam being made or read takes seconds, and Python would wait for its threads. The library survives being
        # killed at any moment, and the next start does what was left.
        sys.stdout.flush()
        os._exit(0)
