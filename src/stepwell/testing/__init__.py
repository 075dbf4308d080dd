"""What authors of stores and of workflows test with."""

from stepwell.testing.exercise_store import STORE_CASES, StoreCase, exercise_store, run_store_case

__all__ = ["STORE_CASES", "StoreCase", "exercise_store", "run_store_case"]
