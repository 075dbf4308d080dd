"""The command `stepwell`: its subcommands, and the exit code of each way to end.

Exit codes: 0 done (also after SIGINT or SIGTERM), 1 something failed while running, 2 the project
or the command line is wrong.
"""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from stepwell.cli.ending import end_process_within
from stepwell.cli.logs import show_logs
from stepwell.errors import ProjectError, StepwellError
from stepwell.http.hosting import Place, host_project
from stepwell.runtime.loading import load_code
from stepwell.runtime.project import Project, load_project
from stepwell.runtime.secrets import read_secrets

PORT = 8787
STATE_FOLDER = ".stepwell"
THREADS_END_SECONDS = 1.0
EXIT_FAILED = 1
EXIT_WRONG_INPUT = 2
# Typer's own, when Ctrl+C meets it at reading the command line; here that is a way to be done.
_EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="stepwell",
    help="Durable execution for Python: workflows whose steps survive crashes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except ProjectError as error:
        _say_error(_block_of(error))
        sys.exit(EXIT_WRONG_INPUT)
    except StepwellError as error:
        _say_error(str(error))
        sys.exit(EXIT_FAILED)
    except SystemExit as end:
        sys.exit(0 if end.code == _EXIT_INTERRUPTED else end.code)


def _say_version(is_asked: bool) -> None:  # noqa: FBT001 - typer hands it over so
    if is_asked:
        typer.echo(f"stepwell {_version()}")
        raise typer.Exit


@app.callback()
def stepwell(
    *,
    _is_version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Durable execution for Python: workflows whose steps survive crashes."""


@app.command()
def dev(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="The project file.", show_default="the nearest one upwards"
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where to answer; 0: any free port.")
    ] = PORT,
    host: Annotated[str, typer.Option("--host", "--ip", help="The address to answer on.")] = (
        "127.0.0.1"
    ),
    persist_to: Annotated[
        Path | None,
        typer.Option(
            help="The folder for all state.", show_default=".stepwell beside the project file"
        ),
    ] = None,
) -> None:
    """Run the project of this folder: its app and its workflows."""
    try:
        _run_project(config or Path.cwd(), host, port, persist_to)
    except KeyboardInterrupt:
        # While the project is still being read; from then on a signal is heard as a request.
        raise typer.Exit from None


def _run_project(place: Path, host: str, port: int, persist_to: Path | None) -> None:
    project = load_project(place)
    for warning in project.warnings:
        typer.echo(f"warning  {warning}", err=True)
    secrets = read_secrets(project.root)
    code = load_code(project)
    state = (persist_to or project.root / STATE_FOLDER).absolute()
    show_logs()

    async def run() -> None:
        await host_project(
            project,
            code,
            Place(host=host, port=port, state=state),
            secrets=secrets,
            on_ready=lambda url: typer.echo(_ready_line(project, url, state)),
        )
        end_process_within(THREADS_END_SECONDS)

    asyncio.run(run())


def _version() -> str:
    try:
        return version("stepwell")
    except PackageNotFoundError:
        return "(not installed)"


def _ready_line(project: Project, url: str, state: Path) -> str:
    names = ", ".join(found.name for found in project.own_workflows) or "none"
    return f"Ready on {url}  workflows: {names}  state: {state}"


def _block_of(error: ProjectError) -> str:
    """Tell all that is wrong with a project as one block."""
    count = len(error.problems)
    lines = ["one thing is" if count == 1 else f"{count} things are"]
    lines[0] += " wrong with this project:"
    for problem in error.problems:
        place = f"{problem.file}: {problem.key}" if problem.key else problem.file
        lines += ["", f"  {place}", f"    {problem.what}.", f"    {problem.todo}."]
    return "\n".join(lines)


def _say_error(text: str) -> None:
    typer.echo(f"{typer.style('error', fg='red', bold=True)}  {text}", err=True)
