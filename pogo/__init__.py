"""pogo: offline reinforcement learning as a JKO chain of policies, on PyTorch or JAX."""

__version__ = "0.1.0"
