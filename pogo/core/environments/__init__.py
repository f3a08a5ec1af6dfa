"""Environments: what they look like, D4RL's mazes, simulators here or in processes."""
