"""What XLA is told."""

from types import SimpleNamespace

import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402 - after the check that there is a JAX

from pogo.jax_backend import compilation  # noqa: E402


def test_products_are_not_ynnpacks() -> None:
    options = compilation.compiler_options(jax.devices("cpu")[0])
    values = jnp.ones((256, 256))

    def compiled(options: dict[str, str]) -> str:
        return jax.jit(lambda values: values @ values, compiler_options=options).lower(values).compile().as_text()

    assert "__ynn_fusion" in compiled({})  # or the option is no longer needed
    assert "__ynn_fusion" not in compiled(options)
    assert " dot(" in compiled(options)


def test_a_gpu_is_told_nothing() -> None:
    assert compilation.compiler_options(SimpleNamespace(platform="gpu")) == {}


def test_an_xla_without_the_choice_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_choice(function: object, compiler_options: object) -> object:
        raise jax.errors.JaxRuntimeError("INVALID_ARGUMENT: No such compile option")

    monkeypatch.setattr(compilation.jax, "jit", without_choice)
    assert compilation._options_for_cpu.__wrapped__() == {}
