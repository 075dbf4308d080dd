"""Tests of `stepwell.core`."""
