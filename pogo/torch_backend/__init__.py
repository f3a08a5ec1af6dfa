"""The PyTorch half. Twin: pogo/jax_backend."""
