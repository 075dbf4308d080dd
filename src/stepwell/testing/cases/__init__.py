"""The cases of `exercise_store`, one module for each noun."""
