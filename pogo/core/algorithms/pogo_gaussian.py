"""POGO of its paper: Gaussian policies that take steps from a learned behaviour policy; what both backends share."""

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from pogo.core.algorithms.actor_critic import Delayed, critics, range_scaled
from pogo.core.algorithms.hyperparameters import check_between, check_not_negative, check_positive
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.errors import check_name
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.noise import Draw, dropout_masks, normal
from pogo.core.problem.parameters import Params, actor_parameters
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.w2 import w2_method

BEHAVIOUR = "behaviour"  # the network of the learned behaviour policy
TARGET_ACTIONS = ("sample", "smoothed")
ACTOR_ACTIONS = ("sample", "mean")
ACTOR_Q = ("min", "first")


@dataclass(frozen=True)
class Hyperparameters:
    """The paper's form by default, with its code's as options. Lengths are in units of the action box, [-1, 1]."""

    behaviour_weight: float = 0.1  # of the squared distance to the behaviour policy, 1 / (2 tau); published per dataset
    entropy_weight: float = 1e-5  # lambda; published per dataset
    normalize_q: bool = True  # Q by its mean absolute value, as the code; the published weights are for it
    target_action: str = "sample"  # of the slow actor: a sample (paper), or its mean, smoothed (code)
    actor_action: str = "sample"  # where Q is climbed: at a sample (paper), or at the mean (code)
    actor_q: str = "min"  # of the critics (paper), or the first (code)
    policy_noise: float = 0.2  # of smoothing
    noise_clip: float = 0.5
    policy_freq: int = 2  # actor 0 and targets move on every policy_freq-th update
    discount: float = 0.99
    tau: float = 0.005  # of the slow copies
    learning_rate: float = 3e-4  # of every network
    hidden_sizes: tuple[int, ...] = (256, 256)
    normalize_states: bool = True
    normalize_rewards: bool = False

    def __post_init__(self) -> None:
        check_name("algorithm.target_action", self.target_action, TARGET_ACTIONS)
        check_name("algorithm.actor_action", self.actor_action, ACTOR_ACTIONS)
        check_name("algorithm.actor_q", self.actor_q, ACTOR_Q)
        check_between("algorithm.discount", self.discount, 0.0, 1.0)
        check_between("algorithm.tau", self.tau, 0.0, 1.0)
        for name in ("behaviour_weight", "entropy_weight", "policy_noise", "noise_clip"):
            check_not_negative(f"algorithm.{name}", getattr(self, name))
        for name in ("learning_rate", "policy_freq"):
            check_positive(f"algorithm.{name}", getattr(self, name))

    @property
    def actor_learning_rate(self) -> float:
        """The one rate."""
        return self.learning_rate

    @property
    def critic_learning_rate(self) -> float:
        """The one rate."""
        return self.learning_rate


class POGOGaussian(Delayed[Hyperparameters]):
    """POGO of its paper, but for its mathematics."""

    energies = ("value",)

    @override
    def default_actor(self, hp: Hyperparameters) -> ActorConfig:
        """A Normal around a tanh mean, with a log_std per state within [-5, 2]; the behaviour policy is one too."""
        return ActorConfig("gaussian", hp.hidden_sizes, log_std="head", log_std_min=-5.0, log_std_max=2.0)

    @override
    def learning_rates(self, hp: Hyperparameters) -> dict[str, float]:
        return dict.fromkeys(("actor_0", "critic", BEHAVIOUR), hp.learning_rate)

    @override
    def noise_spec(self, spec: TrainSpec[Hyperparameters]) -> dict[str, Draw]:
        """A draw for the target's action, one for actor 0's; K for a distance to the behaviour policy by samples."""
        hp, actor = spec.hyperparameters, spec.actors[0]
        action, samples = (normal(spec.batch_size, *shape, spec.action_size) for shape in ((), (spec.w2.num_samples,)))
        draws = {"target_policy": action, "policy_sample": action} | dropout_masks(actor, spec.batch_size)
        if hp.target_action == "smoothed" and actor.samples_for_loss:
            draws["target_action"] = action
        if w2_method(actor, self.default_actor(hp)) == "sinkhorn":
            draws["behaviour_w2"] = samples
            if spec.w2.noise == "independent":
                draws["behaviour_w2_reference"] = samples
        return draws

    @override
    def preprocessing(self, hp: Hyperparameters, dataset: str) -> Preprocessing:
        """Normalised states; rewards by return range where asked."""
        return range_scaled(hp, dataset)

    @override
    def initial_networks(self, rng: np.random.Generator, spec: TrainSpec[Hyperparameters]) -> dict[str, Params]:
        """Critics and the behaviour policy."""
        hp = spec.hyperparameters
        behaviour = self.default_actor(hp)
        return {
            "critic": critics(rng, spec, hp.hidden_sizes, self.initialisers),
            BEHAVIOUR: actor_parameters(rng, behaviour, spec.observation_size, spec.action_size, self.initialisers),
        }


DEFINITION = POGOGaussian(Hyperparameters)
