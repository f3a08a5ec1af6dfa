import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pogo.core.problem.state import AdamState, TrainState  # noqa: E402 - after the skip
from pogo.torch_backend.optimizers import minimise, steps_taken  # noqa: E402


def state_of(kernel):
    moments = [{"kernel": torch.zeros_like(kernel)} for _ in range(2)]
    return TrainState({"net": {"kernel": kernel}}, {"net": AdamState(torch.zeros((), dtype=torch.int32), *moments)}, 0)


def test_a_transposed_gradient_is_read_as_it_is_meant():
    """The fused Adam walks memory in order; autograd may hand it a gradient that is laid out the other way."""
    slopes = torch.tensor([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0]], dtype=torch.float64)
    kernel = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)

    def loss(params):
        return (params["kernel"].T * slopes).sum(), None

    (gradient,) = torch.autograd.grad(loss({"kernel": kernel})[0], kernel)
    assert not gradient.is_contiguous()  # else this tests nothing
    state, _, _ = minimise(loss, state_of(kernel), "net", 0.1)
    moved = state.networks["net"]["kernel"].detach().numpy()
    np.testing.assert_allclose(moved, -0.1 * slopes.T.numpy(), rtol=1e-6)


def test_a_parameter_that_the_loss_does_not_reach_stays():
    kernel = torch.ones(2, requires_grad=True)
    state, _, _ = minimise(
        lambda params: (torch.zeros((), requires_grad=True) * 1.0, None), state_of(kernel), "net", 0.1
    )
    assert torch.equal(state.networks["net"]["kernel"].detach(), torch.ones(2))


def test_steps_are_counted_beyond_what_float32_counts():
    kernel = torch.ones(2, requires_grad=True)
    state = state_of(kernel)
    state.optimizers["net"].count.fill_(2**24)
    for _ in range(3):
        state, _, _ = minimise(lambda params: (params["kernel"].sum(), None), state, "net", 0.1)
    assert int(steps_taken(state, "net")) == 2**24 + 3


def test_a_transposed_array_becomes_a_tensor_in_c_order():
    """np.linalg.qr(...).T is one: CQL's orthogonal kernels."""
    from pogo.torch_backend.state import state_from_arrays

    kernel = np.arange(6.0).reshape(2, 3).T
    arrays = {"net/kernel": kernel, "updates": np.zeros((), np.int32)}
    arrays |= {f"optimizer/net/{moment}/kernel": np.zeros((3, 2)) for moment in ("mu", "nu")}
    arrays["optimizer/net/count"] = np.zeros((), np.int32)
    state = state_from_arrays(arrays, torch.device("cpu"))
    assert state.networks["net"]["kernel"].is_contiguous()
    np.testing.assert_array_equal(state.networks["net"]["kernel"].detach().numpy(), kernel)
