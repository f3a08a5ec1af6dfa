import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pogo.core.interface import AdamState, TrainState  # noqa: E402 - after the skip
from pogo.torch_backend.optimizers import minimise  # noqa: E402


def state_of(kernel: torch.Tensor) -> TrainState:
    moments = [{"kernel": torch.zeros_like(kernel)} for _ in range(2)]
    return TrainState({"net": {"kernel": kernel}}, {"net": AdamState({"kernel": torch.zeros(())}, *moments)}, 0)


def test_a_transposed_gradient_is_read_as_it_is_meant():
    """The fused Adam walks memory in order; autograd may hand it a gradient that is laid out the other way."""
    target = torch.arange(6.0, dtype=torch.float64).reshape(3, 2) - 2.5
    kernel = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)

    def loss(params):
        return ((params["kernel"].T - target.T) ** 2 @ torch.eye(3, dtype=torch.float64)).sum(), None

    state, _, _ = minimise(loss, state_of(kernel), "net", 0.1)
    moved = state.networks["net"]["kernel"].detach().numpy()
    np.testing.assert_allclose(moved, 0.1 * np.sign(target.numpy()), rtol=1e-6)


def test_a_parameter_that_the_loss_does_not_reach_stays():
    kernel = torch.ones(2, requires_grad=True)
    state, _, _ = minimise(lambda params: (torch.zeros((), requires_grad=True) * 1.0, None), state_of(kernel), "net", 0.1)
    assert torch.equal(state.networks["net"]["kernel"].detach(), torch.ones(2))
