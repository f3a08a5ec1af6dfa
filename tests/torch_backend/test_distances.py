import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from pogo.core.errors import BadInput
from tests.helpers.clouds import draws


def test_exact_with_many_samples_is_refused_off_the_cpu():
    torch = pytest.importorskip("torch")
    from pogo.torch_backend.distances import sinkhorn_divergence

    samples = torch.empty(2, 6, 3, device="meta")
    with pytest.raises(BadInput, match=r"at most w2.num_samples=5 on meta"):
        sinkhorn_divergence(samples, samples, solver="exact")


@pytest.mark.parametrize("solver", ["fused", "exact"])
@pytest.mark.parametrize("num_samples", [4, 5])
def test_can_be_captured_in_a_cuda_graph(solver, num_samples):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    from pogo.torch_backend.distances import sinkhorn_divergence

    x, y = (torch.tensor(draws(32, num_samples, 3, seed=seed), device="cuda").float() for seed in range(2))
    x.requires_grad_()

    def step():
        values = sinkhorn_divergence(x, y, solver=solver)
        return values, torch.autograd.grad(values.sum(), x)[0]

    expected = step()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = step()
    graph.replay()
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_import_leaves_the_libraries_alone():
    pytest.importorskip("torch")
    code = (
        "import sys, pogo.torch_backend.distances; print([m for m in ('geomloss', 'jax', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("scaling", [0.5, 0.9])
def test_geomloss_is_the_librarys_own_number(scaling):
    """Twice `SamplesLoss`, whose cost is half of pogo's, with the gradient of its own graph, and unconverged."""
    import torch
    from geomloss import SamplesLoss

    from pogo.core.problem.w2 import LibrarySettings
    from pogo.torch_backend.distances import sinkhorn_divergence

    rng = np.random.default_rng(0)
    x, y = (torch.tensor(np.tanh(rng.normal(size=(16, 4, 3))), dtype=torch.float32) for _ in range(2))
    weights = torch.tensor(rng.uniform(1, 2, 16), dtype=torch.float32)

    def value_and_gradient(divergence):
        leaf = x.clone().requires_grad_()
        values = divergence(leaf)
        return values.detach(), torch.autograd.grad((weights * values).sum(), leaf)[0]

    settings = LibrarySettings(scaling=scaling)
    ours = value_and_gradient(lambda x: sinkhorn_divergence(x, y, solver="geomloss", library=settings))
    loss = SamplesLoss("sinkhorn", p=2, blur=0.05, scaling=scaling)
    theirs = value_and_gradient(lambda x: 2 * loss(x, y))
    for found, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    converged = value_and_gradient(lambda x: sinkhorn_divergence(x, y, solver="library"))
    assert (ours[1] - converged[1]).norm() > 0.01 * converged[1].norm()


def test_what_the_backend_has_not_is_refused():
    import torch

    from pogo.core.problem.w2 import LibrarySettings
    from pogo.torch_backend.distances import sinkhorn_divergence
    from pogo.torch_backend.libraries import check_library

    x = torch.zeros(2, 4, 3)
    with pytest.raises(BadInput, match="solver=ott is not of this backend, which has exact, fused, geomloss, library"):
        sinkhorn_divergence(x, x, solver="ott")
    if importlib.util.find_spec("pykeops") is None:
        with pytest.raises(BadInput, match=r"w2\.backend=online needs KeOps, not installed here: pip install pykeops"):
            check_library(LibrarySettings(backend="online"))
