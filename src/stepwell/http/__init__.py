"""Serve a project over HTTP, with its workflows running in the same process."""
