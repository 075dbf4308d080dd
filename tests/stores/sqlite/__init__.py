"""Tests of what SQLite alone can get wrong; the contract is held by the conformance kit."""
