"""Tests of `stepwell.client`."""
