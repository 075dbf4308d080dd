"""Stepwell from outside: create instances, look at them, act on them."""
