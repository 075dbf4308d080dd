"""The command `stepwell`, also as `python -m stepwell`."""

from __future__ import annotations

from stepwell.cli.entry import main

if __name__ == "__main__":
    main()
