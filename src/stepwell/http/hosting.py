"""Run a whole project in one process: databases, env, Stepwell with its worker, and the server.

What is opened first is closed last: a workflow that is still being stopped finds its databases,
and the app's own start-up and shut-down find everything.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path

from stepwell.client.client import Stepwell
from stepwell.client.handles import Workflow
from stepwell.errors import StepwellError
from stepwell.http.app import HostedApp
from stepwell.http.server import StopRequest, listen, serve, url_of
from stepwell.model.instance import InstanceStatus
from stepwell.model.limits import Limits
from stepwell.runtime.bound_workflow import WellSlot
from stepwell.runtime.d1 import D1Database
from stepwell.runtime.env import Env, build_env
from stepwell.runtime.loading import Code
from stepwell.runtime.migrations import apply_migrations
from stepwell.runtime.project import Project
from stepwell.wiring import open as open_stepwell

_LEASE_SECONDS = 3.0
_LOG = logging.getLogger("stepwell.http")
_PAGE_INSTANCES = Limits().page_max
DATABASE_NAME = "stepwell.db"
D1_FOLDER = "d1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a project is served, and the folder that keeps its state."""

    host: str
    port: int
    state: Path


async def host_project(
    project: Project,
    code: Code,
    place: Place,
    *,
    secrets: Mapping[str, str],
    on_ready: Callable[[str], None],
) -> None:
    """Serve a project and run its workflows until the process is asked to stop.

    Args:
        secrets: by name; they go on env.
        on_ready: told the URL once requests are answered.

    Raises:
        ProjectError: a migration of a database failed.
        StepwellError: the address, the state or the app's own start-up cannot be used.
    """
    with StopRequest() as stop, closing(listen(place.host, place.port)) as listener:
        url = url_of(listener)
        async with open_project(project, code, place.state, secrets=secrets) as env:
            await serve(
                HostedApp(code.app, env), listener, stop=stop, on_ready=lambda: on_ready(url)
            )


@asynccontextmanager
async def open_project(
    project: Project, code: Code, state: Path, *, secrets: Mapping[str, str]
) -> AsyncIterator[Env]:
    """Open all that a project needs and run its workflows; gives its env.

    Raises:
        ProjectError: a migration failed.
        StepwellError: the state cannot be used.
    """
    prepare_state(state)
    async with AsyncExitStack() as stack:
        databases = _open_databases(project, state / D1_FOLDER, stack)
        for binding in project.d1_databases:
            await apply_migrations(databases[binding.binding], binding, project.path)
        slot = WellSlot()
        env = build_env(project, secrets=secrets, databases=databases, slot=slot)
        if code.workflows:
            await _tell_unfinished(code, state)
            await stack.enter_async_context(slot.hold(_open_well(project, code, state, env)))
        yield env


async def _tell_unfinished(code: Code, state: Path) -> None:
    """Log how many instances of earlier go on now; before a worker moves them about."""
    async with open_stepwell(_url(state), worker=False) as well:
        for name in code.workflows:
            count, is_all = await _count_unfinished(well.workflow(name))
            if count:
                amount = f"{count}" if is_all else f"more than {count - 1}"
                go_on = "instance goes on" if count == 1 else "instances go on"
                _LOG.info("%s: %s unfinished %s", name, amount, go_on)


async def _count_unfinished(workflow: Workflow) -> tuple[int, bool]:
    """Count one page of each status that goes on by itself; tell whether that was all."""
    count, is_all = 0, True
    for status in InstanceStatus:
        if not status.is_terminal and status is not InstanceStatus.PAUSED:
            page = await workflow.list(status, limit=_PAGE_INSTANCES)
            count += len(page)
            is_all = is_all and page.cursor is None
    return count, is_all


def prepare_state(state: Path) -> None:
    """Make the folder for the state, unseen by git.

    Raises:
        StepwellError: it cannot be made or written.
    """
    ignore = state / ".gitignore"
    try:
        state.mkdir(parents=True, exist_ok=True)
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise StepwellError(
            f"the folder for the state, {state}, cannot be used: {error.strerror}. "
            "Give another with --persist-to"
        ) from error


def _open_databases(project: Project, folder: Path, stack: AsyncExitStack) -> dict[str, D1Database]:
    by_file: dict[str, D1Database] = {}
    for binding in project.d1_databases:
        if binding.file_name not in by_file:
            database = D1Database(folder / binding.file_name)
            stack.push_async_callback(database.close)
            by_file[binding.file_name] = database
    return {binding.binding: by_file[binding.file_name] for binding in project.d1_databases}


def _open_well(
    project: Project, code: Code, state: Path, env: Env
) -> AbstractAsyncContextManager[Stepwell]:
    workflows = project.own_workflows
    steps = {found.name: found.steps_max for found in workflows if found.steps_max is not None}
    usual = Limits()
    return open_stepwell(
        _url(state),
        workflows=code.workflows,
        env=env,
        # Somebody who stops the server with kill -9 does not wait long for what it was doing.
        lease_seconds=_LEASE_SECONDS,
        limits={name: {"steps": maximum} for name, maximum in steps.items()},
        retention={found.name: dict(found.retention) for found in workflows if found.retention},
        maxima=replace(usual, steps_max=max([usual.steps_max, *steps.values()])),
    )


def _url(state: Path) -> str:
    return f"sqlite:///{state / DATABASE_NAME}"
