"""The JAX half. Twin: pogo/torch_backend."""
