"""Where the command `stepwell` begins: it says so where the extra `server` is missing."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

# The modules that the extra `server` brings and that are imported at the start.
_SERVER_MODULES: Final = frozenset({"click", "dotenv", "json5", "rich", "typer", "uvicorn"})
_EXIT_FAILED: Final = 1


def main() -> None:
    """Run the command line, or say what is to be installed first."""
    try:
        command = import_module("stepwell.cli.main")
    except KeyboardInterrupt:
        # The import takes some tenths of a second; Ctrl+C in it ends the command as it does later.
        sys.exit(0)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _SERVER_MODULES:
            raise
        sys.stderr.write(
            f"error  the command needs {missing}, which only comes with the server: "
            'install stepwell[server], e.g. with `pip install "stepwell[server]"`\n'
        )
        sys.exit(_EXIT_FAILED)
    command.main()
