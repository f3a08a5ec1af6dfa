import subprocess
import sys

import pytest

from tests.distance_checks import DistanceChecks, draws


class TestDistances(DistanceChecks):
    backend = "torch"


def test_exact_with_many_samples_is_refused_off_the_cpu():
    torch = pytest.importorskip("torch")
    from pogo.core.errors import BadInput
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
