"""Runs that collect their own transitions."""
