"""The store in this process's memory: for tests, and for workflows that need not outlive it."""

from stepwell.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
