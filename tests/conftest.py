"""What every test shares: how hypothesis behaves on a busy machine."""

from __future__ import annotations

from hypothesis import settings

# No deadline: with two workers on two cores, slowness says nothing about the code.
settings.register_profile("stepwell", deadline=None, print_blob=True)
settings.load_profile("stepwell")
