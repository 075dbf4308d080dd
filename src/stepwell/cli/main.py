"""The command `stepwell`: reads the command line, calls one function, shows what comes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from stepwell import __version__
from stepwell.cli.logs import show_logs
from stepwell.errors import StepwellError
from stepwell.http.hosting import Place, host_project
from stepwell.runtime.loading import load_code
from stepwell.runtime.problems import ProjectError
from stepwell.runtime.project import Project, load_project
from stepwell.runtime.secrets import read_secrets

DEFAULT_PORT = 8787
STATE_FOLDER = ".stepwell"
EXIT_FAILED = 1
EXIT_BAD_PROJECT = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="stepwell",
    help="Durable execution for Python.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command that the command line names."""
    app()


@app.callback()
def stepwell(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=lambda asked: _show_version(asked), help="Tell it."
        ),
    ] = False,
) -> None:
    """Durable execution for Python."""


@app.command()
def dev(
    config: Annotated[
        Path | None,
        typer.Option(help="The project file, or its folder. Default: found upwards from here."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    persist_to: Annotated[
        Path | None,
        typer.Option(help=f"The folder for the state. Default: {STATE_FOLDER} in the project."),
    ] = None,
) -> None:
    """Serve the project here, and run its workflows."""
    show_logs()
    try:
        _dev(config or Path.cwd(), host=host, port=port, persist_to=persist_to)
    except ProjectError as error:
        _fail("the project cannot be run:", error, EXIT_BAD_PROJECT)
    except StepwellError as error:
        _fail("", error, EXIT_FAILED)
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _dev(config: Path, *, host: str, port: int, persist_to: Path | None) -> None:
    project = load_project(config)
    for warning in project.warnings:
        typer.echo(f"warning: {warning}", err=True)
    secrets = read_secrets(project.root)
    code = load_code(project)
    place = Place(
        host=host, port=port, state=(persist_to or project.root / STATE_FOLDER).absolute()
    )

    def tell_ready(url: str) -> None:
        typer.echo(_ready_line(project, url, place.state))

    asyncio.run(host_project(project, code, place, secrets=secrets, on_ready=tell_ready))


def _ready_line(project: Project, url: str, state: Path) -> str:
    workflows = ", ".join(found.name for found in project.own_workflows) or "none"
    shown = state.relative_to(Path.cwd()) if state.is_relative_to(Path.cwd()) else state
    return f"ready: {url} · {project.name} · workflows: {workflows} · state: {shown}"


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"stepwell {__version__}")
        raise typer.Exit


def _fail(title: str, error: StepwellError, exit_code: int) -> NoReturn:
    lines = str(error).splitlines()
    block = "\n".join(["error: " + title, *(f"  {line}" for line in lines)]) if title else ""
    typer.echo(block or f"error: {error}", err=True)
    raise typer.Exit(exit_code) from None


if __name__ == "__main__":
    main()
