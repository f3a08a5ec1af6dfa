"""Networks against the formula, for either backend."""

import numpy as np
import pytest

OBS, ACT, HIDDEN = 4, 3, (8, 6)


@pytest.fixture(autouse=True)
def in_float64(framework):
    with framework.precision("float64"):
        yield


def ensemble(members: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    sizes = (OBS + ACT, *HIDDEN, 1)
    arrays = {}
    for name, rows, columns in zip(("hidden_0", "hidden_1", "output"), sizes[:-1], sizes[1:], strict=True):
        arrays[f"{name}/kernel"] = rng.normal(size=(members, rows, columns))
        arrays[f"{name}/bias"] = rng.normal(size=(members, columns))
    return arrays


def check_smallest(framework, critic, batch_size, rng) -> np.ndarray:
    """Values and weighted slopes against the minimum over all members; returns each row's smallest member."""
    networks, gradients = framework.module("networks"), framework.module("gradients")
    params = framework.params(critic)
    observations = framework.array(rng.normal(size=(batch_size, OBS)))
    weights, at = framework.array(rng.normal(size=batch_size)), rng.uniform(-1, 1, (batch_size, ACT))

    def by_smallest(actions):
        return networks.smallest_q_value(params, observations, actions)

    def by_all(actions):
        return gradients.min_over_members(networks.q_values(params, observations, actions))

    found, expected = (framework.numpy(framework.compiled(run)(framework.array(at))) for run in (by_smallest, by_all))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    slopes, wanted = (
        framework.gradient(framework.compiled(lambda actions, run=run: (weights * run(actions)).sum()), at)
        for run in (by_smallest, by_all)
    )
    np.testing.assert_allclose(slopes, wanted, rtol=1e-11, atol=1e-13)
    assert np.abs(wanted).max() > 1e-3
    return framework.numpy(networks.q_values(params, observations, framework.array(at))).argmin(axis=0)


# One row; blocks of one row; of two, three and eight, filled in part.
@pytest.mark.parametrize(("members", "batch_size"), [(3, 1), (1, 5), (40, 19), (10, 30), (4, 64)])
def test_smallest_value_is_the_minimum_over_members(framework, members, batch_size):
    rng = np.random.default_rng(members * batch_size)
    check_smallest(framework, ensemble(members, rng), batch_size, rng)


def test_one_member_may_have_all_rows(framework):
    rng = np.random.default_rng(0)
    critic = ensemble(4, rng)
    critic["output/bias"][3] -= 1e3
    assert set(check_smallest(framework, critic, 30, rng)) == {3}


def test_of_equal_members_the_first_counts(framework):
    rng = np.random.default_rng(0)
    critic = {name: np.repeat(value, 4, axis=0) for name, value in ensemble(1, rng).items()}
    assert set(check_smallest(framework, critic, 16, rng)) == {0}


def test_no_gradient_reaches_the_critics(framework):
    rng = np.random.default_rng(0)
    critic = ensemble(4, rng)
    observations, actions = (framework.array(rng.normal(size=(9, size))) for size in (OBS, ACT))

    def total(kernel):
        params = framework.params(critic) | {"hidden_1/kernel": kernel}
        smallest = framework.module("networks").smallest_q_value(params, observations, actions)
        return smallest.sum() + 0.0 * kernel.sum()

    assert not framework.gradient(total, critic["hidden_1/kernel"]).any()
