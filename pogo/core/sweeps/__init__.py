"""Many runs of one command: planned, started where they are computed, and followed by the folders they leave."""
