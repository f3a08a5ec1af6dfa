"""A run from its plan to its summary, and many of them."""
