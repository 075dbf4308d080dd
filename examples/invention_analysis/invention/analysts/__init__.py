"""The analysts: Claude, and one that needs no model and no network."""
