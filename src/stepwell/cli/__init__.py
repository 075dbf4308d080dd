"""The command line: parse, do one thing, say what happened."""
