"""From what a user types to a checked plan of a run."""
