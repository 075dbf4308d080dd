"""Tests of `stepwell.model`."""
