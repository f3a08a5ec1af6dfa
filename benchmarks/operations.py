"""How many floating-point operations one update needs: matrix products only, a multiply-add counted twice.

A layer [B, in] x [in, out] costs 2 B in out forward, as much for the gradient of its kernel, and as much for the
gradient of its input; the first layer's input needs a gradient only where an actor is upstream. Counted is what the
algorithm needs, not what an implementation does: a forward pass that two losses share counts once, and kernels of
networks that are not being trained get no gradient. Elementwise work, Adam and target moves count as nothing.
"""

from dataclasses import dataclass
from itertools import pairwise

from pogo.core.interface import TrainSpec
from pogo.core.w2 import w2_method


@dataclass(frozen=True)
class Network:
    """Layer sizes (input, *hidden, output) of one network and the rows that pass through it."""

    sizes: tuple[int, ...]
    rows: int
    members: int = 1

    @property
    def forward(self) -> float:
        """One forward pass."""
        return 2.0 * self.members * self.rows * sum(a * b for a, b in pairwise(self.sizes))

    @property
    def first_layer(self) -> float:
        """The first layer's product."""
        return 2.0 * self.members * self.rows * self.sizes[0] * self.sizes[1]

    @property
    def training(self) -> float:
        """Forward, gradients of all kernels, and of all inputs but the network's own."""
        return 3.0 * self.forward - self.first_layer

    @property
    def through(self) -> float:
        """Forward, and the gradient of its input: how an actor's loss passes a frozen critic."""
        return 2.0 * self.forward


def update_operations(spec: TrainSpec) -> float:
    """Operations of one update, chain included, averaged over updates with and without the actors.

    Raises:
        KeyError: the algorithm has no count.
    """
    own, due_share = _ALGORITHMS[spec.algorithm](spec)
    return own + due_share * _chain(spec)


def actor_network(spec: TrainSpec, index: int, samples: int = 1) -> Network:
    """One actor's network on a batch, for a transport map on `samples` latents per state."""
    config = spec.actors[index]
    sizes = (
        config.input_size(spec.observation_size, spec.action_size),
        *config.hidden_sizes,
        config.output_size(spec.action_size),
    )
    return Network(sizes, spec.batch_size * (samples if config.kind == "stochastic" else 1))


def _iql(spec: TrainSpec) -> tuple[float, float]:
    hidden = spec.hyperparameters.hidden_sizes
    critics = Network((spec.observation_size + spec.action_size, *hidden, 1), spec.batch_size, members=2)
    value = Network((spec.observation_size, *hidden, 1), spec.batch_size)
    targets = value.forward + critics.forward
    return targets + value.training + critics.training + actor_network(spec, 0).training, 1.0


def _rebrac(spec: TrainSpec) -> tuple[float, float]:
    critics, actor = _rebrac_critics(spec), actor_network(spec, 0)
    share = 1.0 / spec.hyperparameters.policy_freq
    targets = actor.forward + critics.forward
    return targets + critics.training + share * (actor.training + critics.through), share


def _rebrac_critics(spec: TrainSpec) -> Network:
    hp = spec.hyperparameters
    hidden = (hp.hidden_size,) * hp.critic_num_hidden
    return Network((spec.observation_size + spec.action_size, *hidden, 1), spec.batch_size, members=2)


def _chain(spec: TrainSpec) -> float:
    """Per actor 1+: its loss through the frozen critics, its distance, and the reference's forward after its step."""
    if spec.algorithm == "rebrac":
        critics = _rebrac_critics(spec)
    else:
        hidden = spec.hyperparameters.hidden_sizes
        critics = Network((spec.observation_size + spec.action_size, *hidden, 1), spec.batch_size, members=2)
    total = 0.0
    for index in range(1, len(spec.actors)):
        total += actor_network(spec, index).training + critics.through
        sinkhorn = w2_method(spec.actors[index], spec.actors[index - 1]) == "sinkhorn"
        samples = spec.w2.num_samples if sinkhorn else 1
        if sinkhorn and spec.actors[index].kind == "stochastic":  # other kinds sample from the energy's own forward
            total += actor_network(spec, index, samples).training
        total += actor_network(spec, index - 1, samples).forward
    return total


_ALGORITHMS = {"iql": _iql, "rebrac": _rebrac}
