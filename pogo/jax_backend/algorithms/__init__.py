"""One module per algorithm, in JAX. Twin: pogo/torch_backend/algorithms."""
