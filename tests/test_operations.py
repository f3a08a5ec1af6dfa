"""The benchmark's count of operations: against the originals' figures, and against what the torch backend really does.

torch's counter sees every matrix product, needless ones included: what it counts beyond the needed ones is wasted work.
"""

from typing import Any

import pytest

from benchmarks.operations import Pass, operations
from pogo.core.algorithms import ALGORITHMS, load_algorithm
from pogo.core.problem.actors import resolve_actors
from pogo.core.problem.chain import DEFAULT_W2_WEIGHT, ChainConfig
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.w2 import W2Config
from pogo.core.registry import load_backend
from pogo.core.verify.parity import parity_case
from tests.helpers.problems import CHAINS, problem

# GFLOP of one update of the original at halfcheetah sizes, by algorithm and actors: counted on their code.
PUBLISHED = {
    ("iql", 1): 0.536,
    ("td3_bc", 1): 0.415,
    ("awac", 1): 1.185,
    ("cql", 1): 15.0,
    ("sac_n", 1): 5.24,
    ("edac", 1): 8.05,
    ("rebrac", 1): 3.48,
    ("fql", 1): 12.3,
    ("iql", 3): 1.118,
    ("td3_bc", 3): 0.632,
}

# How much of the needed work the torch backend may do, where it is more than LIMIT, and what it wastes.
LIMIT = 1.05
WASTE: dict[tuple[str, int], tuple[float, str]] = {
    ("awac", 1): (1.08, "the actor runs twice at the batch's observations: for the baseline, and for its loss"),
}
LIMIT_OF_OPTIONS = 1.27  # energies of `loss` and `advantage` judge the data, or the baseline, once for each actor

PERIOD = 6  # updates: a multiple of every policy_freq here


def counted(spec: TrainSpec) -> float:
    """Operations of one update of the torch backend, by torch's own counter; an average over the delay's period."""
    pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    due = load_algorithm(spec.algorithm).actors_due
    updates = 1 if all(due(update, spec.hyperparameters) for update in range(PERIOD)) else PERIOD
    case = parity_case(spec, seed=0, num_updates=updates)
    single = load_backend("torch", "single_updates").SingleUpdates(spec, case.state)
    with FlopCounterMode(display=False) as counter:
        for batch, noise in zip(case.batches, case.noises, strict=True):
            single.step(batch, noise)
    return counter.get_total_flops() / updates


def assert_counted(spec: TrainSpec, limit: float) -> None:
    ratio = counted(spec) / operations(spec, needed_only=True)
    assert 0.98 <= ratio <= limit, f"{spec.algorithm}: the backend does {ratio:.3f} times the work that is needed"


def test_a_pass_by_hand() -> None:
    forward = Pass(sizes=(3, 5, 2), rows=7, members=2)
    layers = (2 * 2 * 7 * 3 * 5, 2 * 2 * 7 * 5 * 2)
    assert forward.operations == sum(layers)
    assert Pass((3, 5, 2), 7, 2, trains=True).operations == 3 * sum(layers) - layers[0]
    assert Pass((3, 5, 2), 7, 2, guides=True).operations == 2 * sum(layers)
    assert Pass((3, 5, 2), 7, 2, trains=True, guides=True).operations == 3 * sum(layers)


@pytest.mark.parametrize(("algorithm", "num_actors"), PUBLISHED)
def test_published_figures(algorithm: str, num_actors: int) -> None:
    shared = load_algorithm(algorithm)
    hp = shared.for_run(shared.Hyperparameters(), shared.published_updates)
    spec = TrainSpec(
        algorithm=algorithm,
        observation_size=17,
        action_size=6,
        batch_size=shared.published_batch_size,
        actors=resolve_actors([], num_actors, shared.default_actor(hp)),
        chain=ChainConfig(num_actors, (DEFAULT_W2_WEIGHT,) * (num_actors - 1)),
        w2=W2Config(),
        hyperparameters=hp,
    )
    assert operations(spec) / 1e9 == pytest.approx(PUBLISHED[algorithm, num_actors], rel=3e-3)
    assert operations(spec, needed_only=True) <= operations(spec)


@pytest.mark.parametrize("num_actors", [1, 3])
@pytest.mark.parametrize("algorithm", ALGORITHMS)  # a new entry is covered the day it is registered
def test_torch_does_the_needed_work(algorithm: str, num_actors: int) -> None:
    limit, _ = WASTE.get((algorithm, num_actors), (LIMIT, ""))
    assert_counted(problem(algorithm, "float32", num_actors=num_actors), limit)


@pytest.mark.parametrize("chain", [chain for chain in CHAINS if chain != "as published"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_any_kind_in_any_slot(algorithm: str, chain: str) -> None:
    assert_counted(problem(algorithm, "float32", CHAINS[chain]), LIMIT)


FOUR_KINDS = ({"kind": "tanh_gaussian"}, {"kind": "stochastic"}, {"kind": "deterministic"}, {"kind": "gaussian"})


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [
        ("iql", {"actors": FOUR_KINDS, "num_actors": 4, "w2": W2Config(exact_points=True)}),
        ("iql", {"energy": "loss", "actor_0_data_weight": 0.5}),
        ("awac", {"energy": "loss", "actors": CHAINS["all stochastic"]}),
        ("awac", {"energy": "advantage"}),
        ("fql", {"energy": "loss"}),
        ("fql", {"hyperparameters": {"flow_steps": 3, "actor_hidden_sizes": (8, 16), "critic_hidden_sizes": (32,)}}),
        ("cql", {"hyperparameters": {"max_target_backup": True, "lagrange": True, "critic_num_hidden": 2}}),
        ("cql", {"hyperparameters": {"max_target_backup": True}, "actors": CHAINS["all stochastic"]}),
        ("edac", {"hyperparameters": {"num_critics": 5}}),
        ("td3_bc", {"hyperparameters": {"policy_freq": 3}}),
        ("sac", {"hyperparameters": {"num_critics": 3, "num_critic_updates": 4}}),
        ("sac", {"hyperparameters": {"num_critic_updates": 2}, "actors": CHAINS["all stochastic"]}),
        ("sac", {"hyperparameters": {"actor_gradient": "reinforce", "num_actor_samples": 5}}),
        ("rebrac", {"hyperparameters": {"policy_freq": 3, "critic_num_hidden": 1}}),
        ("pogo", {"w2": W2Config(num_samples=6, noise="independent"), "hyperparameters": {"policy_freq": 1}}),
    ],
    ids=str,
)
def test_options_count(algorithm: str, options: dict[str, Any]) -> None:
    assert_counted(problem(algorithm, "float32", **options), LIMIT_OF_OPTIONS)
