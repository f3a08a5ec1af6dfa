"""That the numbers are right: recorded runs of the originals replayed, and the two backends side by side."""
