"""What runs have left, read and compared: results, statistics, tables, figures, pages."""
