import subprocess
import sys

import numpy as np
import pytest

from pogo.core.errors import BadInput
from tests.helpers.clouds import SOLVERS, draws


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("num_samples", [4, 6])
def test_can_be_compiled_looped_over_and_mapped(solver, num_samples):
    jax = pytest.importorskip("jax")
    from pogo.jax_backend.distances import sinkhorn_divergence

    x, y = (jax.numpy.asarray(draws(3, 8, num_samples, 2, seed=seed), "float32") for seed in range(2))

    def loss(x, y):
        return sinkhorn_divergence(x, y, 0.05, solver).mean()

    def descend(x, y):
        return jax.lax.fori_loop(0, 2, lambda _, x: x - 0.1 * jax.grad(loss)(x, y), x)

    mapped = jax.jit(jax.vmap(descend))(x, y)
    for seed in range(3):
        alone = x[seed]
        for _ in range(2):
            alone = alone - 0.1 * jax.grad(loss)(alone, y[seed])
        np.testing.assert_allclose(mapped[seed], alone, atol=1e-5)


def test_import_leaves_the_libraries_alone():
    pytest.importorskip("jax")
    code = "import sys, pogo.jax_backend.distances; print([m for m in ('ott', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("cooling", [{}, {"epsilon_init": 50.0, "epsilon_decay": 0.9}])
def test_ott_is_the_librarys_own_number(cooling):
    """`sinkhorn_divergence` of OTT at its own threshold, with its own gradient."""
    import jax
    import jax.numpy as jnp
    from ott.geometry.epsilon_scheduler import Epsilon
    from ott.geometry.pointcloud import PointCloud
    from ott.tools import sinkhorn_divergence as of_ott

    from pogo.core.problem.w2 import LibrarySettings
    from pogo.jax_backend.distances import sinkhorn_divergence

    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(np.tanh(rng.normal(size=(8, 4, 3))), dtype=jnp.float32) for _ in range(2))
    epsilon = Epsilon(2 * 0.05**2, init=cooling.get("epsilon_init", 1.0), decay=cooling.get("epsilon_decay", 1.0))

    def of_library(points, ref_points):
        return of_ott.sinkhorn_divergence(PointCloud, points, ref_points, epsilon=epsilon)[0]

    def ours(x):
        return sinkhorn_divergence(x, y, solver="ott", library=LibrarySettings(**cooling))

    values, gradient = jax.vmap(jax.value_and_grad(of_library))(x, y)
    np.testing.assert_allclose(ours(x), values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda x: ours(x).sum())(x), gradient, rtol=1e-4, atol=1e-5)


def test_what_the_backend_has_not_is_refused():
    import jax.numpy as jnp

    from pogo.jax_backend.distances import sinkhorn_divergence

    with pytest.raises(BadInput, match="solver=geomloss is not of this backend, which has exact, fused, library, ott"):
        sinkhorn_divergence(jnp.zeros((2, 4, 3)), jnp.zeros((2, 4, 3)), solver="geomloss")
