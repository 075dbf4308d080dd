"""Frozen values that every other layer speaks in; the standard library only."""
