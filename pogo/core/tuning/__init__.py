"""Searches for options by Optuna: a study's file, its workers, what their runs are worth, and a report."""
