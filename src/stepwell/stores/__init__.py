"""Where instances live: one module or package for each kind of store."""
