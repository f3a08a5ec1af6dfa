"""Policies of runs, apart from training: as they are stored, and as other programs take them."""
