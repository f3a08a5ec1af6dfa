"""Known answers of the distances, for either backend."""

import numpy as np
import pytest

from pogo.core.errors import BadInput
from tests.helpers.clouds import SOLVERS, draws
from tests.helpers.sinkhorn_reference import epsilon_of, reference_divergence

B, K, A = 5, 4, 3


@pytest.fixture(autouse=True)
def in_float64(framework):
    with framework.precision("float64"):
        yield


@pytest.fixture
def distances(framework):
    return framework.module("distances")


@pytest.fixture
def divergence(framework, distances):
    """numpy in, numpy out."""

    def call(x, y, *arguments):
        return framework.numpy(distances.sinkhorn_divergence(framework.array(x), framework.array(y), *arguments))

    return call


@pytest.fixture
def gradient(framework, distances):
    """Of the divergence's sum in the current actor's samples."""

    def call(x, y, *arguments):
        ref_samples = framework.array(y)
        return framework.gradient(lambda x: distances.sinkhorn_divergence(x, ref_samples, *arguments).sum(), x)

    return call


# Between Gaussians and points.


def test_gaussians(framework, distances):
    mean, std = draws(B, A), 0.5 + draws(B, A, seed=1) ** 2
    shift = draws(B, A, seed=2)

    def w2_squared(*moments):
        return framework.numpy(distances.gaussian_w2_squared(*(framework.array(moment) for moment in moments)))

    np.testing.assert_array_equal(w2_squared(mean, std, mean, std), 0)
    np.testing.assert_allclose(w2_squared(mean + shift, std, mean, std), (shift**2).sum(axis=1))
    np.testing.assert_allclose(w2_squared(mean, std + 0.1, mean, std), A * 0.1**2)


def test_gaussians_reference_gets_no_gradient(framework, distances):
    mean, std, ref_mean, ref_std = (framework.array(draws(B, A, seed=seed) + 1) for seed in range(4))
    for moved in (2, 3):
        moments = [mean, std, ref_mean, ref_std]

        def loss(values, moments=moments, moved=moved):
            # The leaf is also a current moment's factor of zero, so that a gradient exists.
            moments = [*moments[:moved], values, *moments[moved + 1 :]]
            return distances.gaussian_w2_squared(moments[0] + 0 * values, *moments[1:]).sum()

        assert not framework.gradient(loss, draws(B, A, seed=moved) + 1).any()


def test_points(framework, distances):
    actions, shift = draws(B, A), draws(B, A, seed=1)
    same = distances.l2_squared(framework.array(actions), framework.array(actions))
    moved = distances.l2_squared(framework.array(actions + shift), framework.array(actions))
    np.testing.assert_array_equal(framework.numpy(same), 0)
    np.testing.assert_allclose(framework.numpy(moved), (shift**2).sum(axis=1))

    def loss(leaf):
        return distances.l2_squared(framework.array(actions) + 0 * leaf, leaf).sum()

    assert not framework.gradient(loss, actions + shift).any()


def test_points_to_gaussians_and_samples(framework, distances):
    points, mean, std = draws(B, A), draws(B, A, seed=1), 0.5 + draws(B, A, seed=2) ** 2
    exact = distances.point_to_gaussian_w2_squared(*(framework.array(each) for each in (points, mean, std)))
    np.testing.assert_allclose(framework.numpy(exact), ((mean - points) ** 2 + std**2).sum(axis=1))

    samples = draws(B, K, A, seed=3)
    exact = distances.point_to_samples_w2_squared(framework.array(points), framework.array(samples))
    expected = ((samples - points[:, None]) ** 2).sum(axis=2).mean(axis=1)
    np.testing.assert_allclose(framework.numpy(exact), expected)


def test_either_side_may_be_the_point(framework, distances):
    points, samples = draws(B, A), draws(B, K, A, seed=3)
    of_points = framework.gradient(
        lambda points: distances.point_to_samples_w2_squared(points, framework.array(samples)).sum(), points
    )
    of_samples = framework.gradient(
        lambda samples: distances.point_to_samples_w2_squared(framework.array(points), samples).sum(), samples
    )
    np.testing.assert_allclose(of_points, 2 * (points - samples.mean(axis=1)))
    np.testing.assert_allclose(of_samples, 2 / K * (samples - points[:, None]))


def test_shapes_that_would_broadcast_are_refused(framework, distances):
    one, other = framework.array(draws(B, A)), framework.array(draws(1, A))
    with pytest.raises(BadInput, match="gaussian_w2_squared"):
        distances.gaussian_w2_squared(one, one, other, one)
    with pytest.raises(BadInput, match="l2_squared"):
        distances.l2_squared(one, other)
    with pytest.raises(BadInput, match="point_to_gaussian_w2_squared"):
        distances.point_to_gaussian_w2_squared(one, other, one)
    with pytest.raises(BadInput, match="point_to_samples_w2_squared"):
        distances.point_to_samples_w2_squared(other, framework.array(draws(B, K, A)))


# Between samples.


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("num_samples", [2, 4, 6])
def test_equal_clouds_are_at_distance_zero_to_the_bit(divergence, gradient, solver, num_samples):
    x = draws(B, num_samples, A)
    atol = 1e-8 if solver == "library" else 0  # GeomLoss works in no such way
    np.testing.assert_allclose(divergence(x, x.copy(), 0.05, solver), 0, atol=atol)
    np.testing.assert_allclose(gradient(x, x.copy(), 0.05, solver), 0, atol=atol)


@pytest.mark.parametrize("num_samples", [2, 4, 6])
def test_order_of_samples_does_not_matter(divergence, num_samples):
    x, y = draws(B, num_samples, A), draws(B, num_samples, A, seed=1)
    np.testing.assert_allclose(divergence(x[:, ::-1].copy(), y), divergence(x, y), rtol=1e-6)
    np.testing.assert_allclose(divergence(x[:, ::-1].copy(), x), 0, atol=1e-10)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("num_samples", [2, 4, 6])
def test_a_shift_costs_its_square(divergence, gradient, solver, num_samples):
    x, shift = draws(B, num_samples, A), draws(B, 1, A, seed=1)
    expected = (shift**2).sum(axis=(1, 2))
    np.testing.assert_allclose(divergence(x + shift, x, 0.05, solver), expected, rtol=1e-4)
    towards = np.broadcast_to(2 / num_samples * shift, x.shape)
    np.testing.assert_allclose(gradient(x + shift, x, 0.05, solver), towards, rtol=1e-3, atol=1e-6)


def test_two_samples_have_a_closed_form(divergence):
    x, y = 0.2 * draws(50, 2, 1), 0.2 * draws(50, 2, 1, seed=1)
    epsilon = epsilon_of(0.05)

    def transport(x, y):
        costs = (x[:, :, None, 0] - y[:, None, :, 0]) ** 2
        straight, crossed = costs[:, 0, 0] + costs[:, 1, 1], costs[:, 0, 1] + costs[:, 1, 0]
        # P = [[p, 1/2 - p], [1/2 - p, p]] with p / (1/2 - p) = exp((crossed - straight) / 2e).
        p = 0.5 / (1 + np.exp(-(crossed - straight) / (2 * epsilon)))
        entropy = 2 * p * np.log(4 * p) + 2 * (0.5 - p) * np.log(4 * (0.5 - p))
        return p * straight + (0.5 - p) * crossed + epsilon * entropy

    expected = transport(x, y) - transport(x, x) / 2 - transport(y, y) / 2
    np.testing.assert_allclose(divergence(x, y), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("factor", [0.5, 0.1])
@pytest.mark.parametrize("solver", SOLVERS)
def test_scales_with_samples_and_blur(divergence, gradient, solver, factor):
    x, y = draws(B, K, A), draws(B, K, A, seed=1)
    scaled = divergence(factor * x, factor * y, factor * 0.05, solver)
    np.testing.assert_allclose(scaled, factor**2 * divergence(x, y, 0.05, solver), rtol=1e-9)
    scaled = gradient(factor * x, factor * y, factor * 0.05, solver)
    np.testing.assert_allclose(scaled, factor * gradient(x, y, 0.05, solver), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("num_samples", [2, 4, 6, 10])
def test_gradient_is_that_of_the_converged_divergence(gradient, num_samples):
    x, y = 0.3 * draws(20, num_samples, 2), 0.3 * draws(20, num_samples, 2, seed=1)
    direction, step = draws(20, num_samples, 2, seed=2), 1e-6
    ahead, behind = (reference_divergence(x + sign * step * direction, y, 0.05).values for sign in (1, -1))
    along = (gradient(x, y) * direction).sum(axis=(1, 2))
    np.testing.assert_allclose(along, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("num_samples", [4, 6])
def test_reference_gets_no_gradient(framework, distances, solver, num_samples):
    x = framework.array(draws(B, num_samples, A))

    def loss(leaf):
        return distances.sinkhorn_divergence(x + 0 * leaf, leaf, 0.05, solver).sum()

    assert not framework.gradient(loss, draws(B, num_samples, A, seed=1)).any()


@pytest.mark.parametrize("solver", SOLVERS)
def test_each_state_weighs_its_own_gradient(framework, distances, solver):
    x, y = draws(B, K, A), draws(B, K, A, seed=1)
    ref_samples, weights = framework.array(y), framework.array(np.arange(B))

    def loss(x):
        return (weights * distances.sinkhorn_divergence(x, ref_samples, 0.05, solver)).sum()

    plain = framework.gradient(lambda x: distances.sinkhorn_divergence(x, ref_samples, 0.05, solver).sum(), x)
    np.testing.assert_allclose(framework.gradient(loss, x), np.arange(B)[:, None, None] * plain)


@pytest.mark.parametrize("num_samples", [3, 5, 7])
def test_exact_is_the_cheapest_pairing(divergence, num_samples):
    scipy_optimize = pytest.importorskip("scipy.optimize")
    x, y = draws(B, num_samples, A), draws(B, num_samples, A, seed=1)
    costs = ((x[:, :, None] - y[:, None]) ** 2).sum(axis=-1)
    expected = [cost[scipy_optimize.linear_sum_assignment(cost)].mean() for cost in costs]
    np.testing.assert_allclose(divergence(x, y, 0.05, "exact"), expected)


@pytest.mark.parametrize("num_samples", [4, 7])
def test_a_small_blur_is_the_exact_distance(divergence, num_samples):
    x, y = draws(B, num_samples, A), draws(B, num_samples, A, seed=1)
    np.testing.assert_allclose(divergence(x, y, 1e-3), divergence(x, y, 1e-3, "exact"), rtol=1e-4)


@pytest.mark.parametrize("num_samples", [4, 7])
def test_samples_outside_the_box_are_measured_too(divergence, num_samples):
    x, y = 6 * draws(B, num_samples, A), 6 * draws(B, num_samples, A, seed=1)
    np.testing.assert_allclose(divergence(x, y), reference_divergence(x, y, 0.05).values, rtol=1e-3)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_keeps_the_dtype(framework, distances, solver, dtype):
    with framework.precision(dtype):
        x, y = (framework.array(draws(B, K, A, seed=seed), dtype) for seed in range(2))
        found = distances.sinkhorn_divergence(x, y, 0.05, solver)
        assert framework.numpy(found).dtype == dtype
        assert found.shape == (B,)


def test_a_wrong_cloud_names_both_actors(framework, distances):
    x, y = framework.array(draws(B, K, A)), framework.array(draws(B, K + 1, A))
    with pytest.raises(BadInput, match=r"actor 2 has float64\[5, 4, 3\], actor 1 has float64\[5, 5, 3\]"):
        distances.sinkhorn_divergence(x, y, name="actor 2", ref_name="actor 1")
    with pytest.raises(BadInput, match="reference actor"):
        distances.sinkhorn_divergence(x, y)
    with pytest.raises(BadInput, match=r"w2.blur=0"):
        distances.sinkhorn_divergence(x, x, 0.0)
    with pytest.raises(BadInput, match="Did you mean 'exact'"):
        distances.sinkhorn_divergence(x, x, 0.05, "exat")
