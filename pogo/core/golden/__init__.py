"""Recorded runs of the original implementations: reading one, replaying it, comparing."""
