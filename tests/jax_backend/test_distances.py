import subprocess
import sys

import numpy as np
import pytest

from tests.distance_checks import SOLVERS, DistanceChecks, draws


class TestDistances(DistanceChecks):
    backend = "jax"


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("num_samples", [4, 6])
def test_can_be_compiled_looped_over_and_mapped(solver, num_samples):
    jax = pytest.importorskip("jax")
    from pogo.jax_backend.distances import sinkhorn_divergence

    x, y = (jax.numpy.asarray(draws(3, 8, num_samples, 2, seed=seed), "float32") for seed in range(2))

    def loss(x, y):
        return sinkhorn_divergence(x, y, 0.05, 1.0, solver).mean()

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
