"""The command `stepwell`."""
