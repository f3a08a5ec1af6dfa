"""What JAX's networks compute in a way of their own: the same values and gradients as the formula on paper."""

from collections.abc import Callable

import numpy as np
import pytest

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402 - after the check that there is a JAX
from jax import Array  # noqa: E402

from pogo.jax_backend.networks import Params, mlp  # noqa: E402

SIZES = (5, 16, 16, 3)


def parameters(rng: np.random.Generator, members: tuple[int, ...] = ()) -> Params:
    names = ["hidden_0", "hidden_1", "output"]
    params = {}
    for name, rows, columns in zip(names, SIZES[:-1], SIZES[1:], strict=True):
        params[f"{name}/kernel"] = jnp.asarray(rng.normal(size=(*members, rows, columns)))
        params[f"{name}/bias"] = jnp.asarray(rng.normal(size=(*members, columns)))
    return params


def on_paper(params: Params, inputs: Array) -> Array:
    """Two hidden layers and a head of one network, at inputs of any leading axes."""
    hidden = inputs
    for index in range(2):
        hidden = jnp.maximum(hidden @ params[f"hidden_{index}/kernel"] + params[f"hidden_{index}/bias"], 0.0)
    return hidden @ params["output/kernel"] + params["output/bias"]


def check(found: Callable[..., Array], expected: Callable[..., Array], params: Params, inputs: Array) -> None:
    """Values and the gradients of parameters and inputs, of a loss that weighs every output differently."""
    outputs = expected(params, inputs)
    weights = jnp.cos(jnp.arange(outputs.size, dtype=outputs.dtype)).reshape(outputs.shape)
    loss = lambda run: lambda params, inputs: (weights * jnp.square(run(params, inputs))).sum()  # noqa: E731
    np.testing.assert_allclose(found(params, inputs), outputs, rtol=1e-12)
    gradients, wanted = (jax.jit(jax.grad(loss(run), argnums=(0, 1)))(params, inputs) for run in (found, expected))
    for ours, theirs in zip(jax.tree.leaves(gradients), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("leading", [(7,), (7, 4), (2, 3, 4)])
def test_one_network_at_any_leading_axes(leading: tuple[int, ...]):
    rng = np.random.default_rng(0)
    check(mlp, on_paper, parameters(rng), jnp.asarray(rng.normal(size=(*leading, SIZES[0]))))


@pytest.mark.parametrize("members", [2, 5])
@pytest.mark.parametrize("shared", [True, False])
def test_an_ensemble_is_its_members(members: int, shared: bool):
    rng = np.random.default_rng(1)
    inputs = jnp.asarray(rng.normal(size=(7, SIZES[0]) if shared else (members, 7, SIZES[0])))
    expected = jax.vmap(on_paper, in_axes=(0, None if shared else 0))
    check(mlp, expected, parameters(rng, (members,)), inputs)


def test_seeds_side_by_side_are_networks_of_their_own():
    rng = np.random.default_rng(2)
    inputs = jnp.asarray(rng.normal(size=(3, 7, 4, SIZES[0])))
    check(jax.vmap(mlp), jax.vmap(on_paper), parameters(rng, (3,)), inputs)


def test_a_gradient_of_a_gradient():
    # As a user's penalty on a critic's slope has it.
    rng = np.random.default_rng(3)
    inputs = jnp.asarray(rng.normal(size=(7, SIZES[0])))
    slopes = lambda run: lambda params, inputs: jax.grad(lambda at: run(params, at).sum())(inputs)  # noqa: E731
    check(slopes(mlp), slopes(on_paper), parameters(rng), inputs)
