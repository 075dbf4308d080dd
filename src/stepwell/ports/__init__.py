"""Protocols: what Stepwell needs of a store, of time, and of wake-up hints."""
