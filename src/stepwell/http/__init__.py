"""The HTTP edge: the project's ASGI app, hosted beside its workflows."""
