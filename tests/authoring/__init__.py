"""Tests of `stepwell.authoring`."""
