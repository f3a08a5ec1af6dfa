"""Reading, checking and normalising datasets."""
