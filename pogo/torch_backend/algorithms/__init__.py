"""One module per algorithm, in torch. Twin: pogo/jax_backend/algorithms."""
