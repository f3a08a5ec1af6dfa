"""What torch's networks compute in a way of their own: the same values and gradients as the library's."""

import pytest

torch = pytest.importorskip("torch")

from pogo.torch_backend.networks import ACTIVATIONS  # noqa: E402 - after the skip


def gelu_of_torch(values):
    return torch.nn.functional.gelu(values, approximate="tanh")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_gelu_is_torchs_own(dtype, tolerance):
    # Up to where the gates are 0 and 1, to the last bit.
    values = torch.linspace(-30.0, 30.0, 2001, dtype=dtype)
    weights = torch.cos(torch.arange(2001, dtype=dtype))
    found, expected = [], []
    for run, to in ((ACTIVATIONS["gelu_tanh"], found), (gelu_of_torch, expected)):
        at = values.clone().requires_grad_()
        outputs = run(at)
        to += [outputs.detach(), *torch.autograd.grad((weights * outputs).sum(), at)]
        with torch.no_grad():  # as target networks and flows run
            to.append(run(values))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_gelus_gradient_has_a_gradient():
    # As a user's penalty on a critic's slope has it.
    values = torch.linspace(-4.0, 4.0, 101, dtype=torch.float64)
    curvatures = []
    for run in (ACTIVATIONS["gelu_tanh"], gelu_of_torch):
        at = values.clone().requires_grad_()
        (slopes,) = torch.autograd.grad(run(at).square().sum(), at, create_graph=True)
        curvatures += torch.autograd.grad((slopes * values).sum(), at)
    torch.testing.assert_close(*curvatures, rtol=1e-12, atol=1e-12)
