"""`python -m stepwell`: the same as the command `stepwell`."""

from __future__ import annotations

from stepwell.cli.entry import main

if __name__ == "__main__":
    main()
