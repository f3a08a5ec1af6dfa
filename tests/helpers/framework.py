"""One face for both frameworks, so that a known answer is checked by the same lines on each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pogo.core.registry import load_backend

BACKENDS = ("torch", "jax")


class Framework:
    """Arrays, gradients and precision of one backend."""

    def __init__(self, name: str) -> None:
        pytest.importorskip(name)
        self.name = name

    def module(self, name: str) -> ModuleType:
        return load_backend(self.name, name)

    @contextmanager
    def precision(self, dtype: str) -> Iterator[None]:
        """float64 is a switch of the process in JAX."""
        if self.name == "jax":
            import jax

            with jax.enable_x64(dtype == "float64"):
                yield
        else:
            yield

    def array(self, values: Any, dtype: str = "float64") -> Any:
        values = np.asarray(values, dtype=dtype)
        if self.name == "torch":
            import torch

            return torch.tensor(values)
        import jax.numpy as jnp

        return jnp.asarray(values)

    def numpy(self, values: Any) -> np.ndarray:
        return values.detach().numpy() if self.name == "torch" else np.asarray(values)

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """One program of a function of arrays, where the framework's calls are slow one by one."""
        if self.name == "torch":
            return function
        import jax

        return jax.jit(function)

    def gradient(self, function: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
        """Gradient of a scalar function of one array."""
        if self.name == "torch":
            import torch

            leaf = torch.tensor(at, requires_grad=True)
            return torch.autograd.grad(function(leaf), leaf)[0].numpy()
        import jax

        return np.asarray(jax.grad(function)(self.array(at, str(at.dtype))))

    def params(self, arrays: dict[str, np.ndarray], dtype: str = "float64") -> dict[str, Any]:
        return {name: self.array(value, dtype) for name, value in arrays.items()}
