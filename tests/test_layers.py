"""The layers of the package hold: imports go down only, and the model stands on its own."""

import logging
import sys
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent

DRIVER_HOMES = {
    # D1 is SQLite by definition: it holds a project's own data and is no store of ours.
    "sqlite3": {"stepwell.stores.sqlite", "stepwell.runtime.d1", "stepwell.runtime.d1_script"},
    "psycopg": {"stepwell.stores.postgres"},
    "psycopg_pool": {"stepwell.stores.postgres"},
}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("stepwell", include_external_packages=True, cache_dir=None)


@pytest.fixture
def loggers_stay_on():
    """Switch loggers on again that the linter's own set-up of logging switches off."""
    known = [log for log in logging.root.manager.loggerDict.values() if hasattr(log, "disabled")]
    were = [log.disabled for log in known]
    yield
    for log, was_disabled in zip(known, were, strict=True):
        log.disabled = was_disabled


@pytest.mark.usefixtures("loggers_stay_on")
def test_contracts(capsys):
    """Every contract of [tool.importlinter] in pyproject.toml is kept."""
    exit_code = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)

    assert 0 == exit_code, capsys.readouterr().out


def test_model_imports_the_standard_library_only(graph):
    """Leaf values can be imported anywhere, because they bring nothing along."""
    rooms = {"stepwell.model", *graph.find_descendants("stepwell.model")}
    imported = {name for room in rooms for name in graph.find_modules_directly_imported_by(room)}

    assert set() == {name for name in imported - rooms if name not in sys.stdlib_module_names}


@pytest.mark.parametrize("driver", DRIVER_HOMES)
def test_driver_stays_at_home(driver, graph):
    """A database driver is imported only by the room it belongs to; wiring alone chooses a room."""
    importers = graph.find_modules_that_directly_import(driver) if driver in graph.modules else ()
    homes = tuple(f"{home}." for home in DRIVER_HOMES[driver])

    assert set() == {name for name in importers if not f"{name}.".startswith(homes)}


def test_nothing_inside_imports_the_public_face(graph):
    """The names of `stepwell` load all they need, so from inside they would pass every layer."""
    assert set() == graph.find_modules_that_directly_import("stepwell")
