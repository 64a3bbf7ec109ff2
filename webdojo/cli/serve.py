"""``webdojo serve``: environments for other processes and machines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from webdojo.cli.own_tasks import TaskFiles

EXAMPLE = (
    "Example: webdojo serve miniwob --port 8000\n\n"
    'Then: gymnasium.make("webdojo:webdojo/miniwob.click-button-v0", url="http://127.0.0.1:8000")'
)
KEY_VARIABLE = "WEBDOJO_API_KEY"


def serve(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="TASK|SUITE", help="What to offer; every task if left out."),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others need an API key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: a free one.")] = 8000,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            "--api-key-file",
            metavar="FILE",
            help=f"File with the key (16 characters or more) that clients must show; or set"
            f" {KEY_VARIABLE}.",
        ),
    ] = None,
    max_sessions: Annotated[
        int, typer.Option("--max-sessions", min=1, help="Clients served at once.")
    ] = 16,
    idle_s: Annotated[
        float, typer.Option("--idle", min=0.1, help="Seconds after which an idle session ends.")
    ] = 600.0,
    step_timeout_s: Annotated[
        float, typer.Option("--step-timeout", min=0.1, help="Seconds a step may be granted.")
    ] = 60.0,
    tasks: TaskFiles = None,
) -> None:
    """Serve environments over HTTP and WebSocket until Ctrl-C.

    Other programs use them as their own: with url="http://…" in gymnasium.make.
    """
    from webdojo.envs.serving.server import ServerOptions
    from webdojo.envs.serving.server import serve as start
    from webdojo.envs.serving.session import Limits
    from webdojo.tasks import registry
    from webdojo.tasks.files import load_tasks_file

    own = [task_id for file in tasks or () for task_id in load_tasks_file(file)]
    task_ids = registry.select(names) if names else (*own, *registry.task_ids())
    options = ServerOptions(
        task_ids=tuple(dict.fromkeys(task_ids)),
        host=host,
        port=port,
        key=_key(api_key_file),
        limits=Limits(max_sessions, idle_s, step_timeout_s),
    )

    def ready(url: str) -> None:
        offered = f"{len(options.task_ids)} tasks" if options.task_ids[1:] else options.task_ids[0]
        key = ", with a key" if options.key else ""
        typer.echo(f"webdojo serve: {url} ({offered}, {max_sessions} sessions{key}); Ctrl-C stops")

    start(options, ready)
    typer.echo("webdojo serve: stopped")


def _key(file: Path | None) -> str | None:
    from webdojo.tasks.errors import UserError

    if file is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"--api-key-file {file} cannot be read: {reason}") from None
    if not key:
        raise UserError(f"--api-key-file {file} is empty: put the key into it")
    return key
