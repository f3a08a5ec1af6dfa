"""Contracts and everything that needs no array framework."""
