"""What both backends share of each algorithm: hyperparameters, noise, starting parameters. No arrays of theirs."""
