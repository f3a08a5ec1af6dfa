"""FQL: what both backends share. Park et al. 2025, arXiv:2502.02538; code of its authors."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from typing_extensions import override

from pogo.core.algorithms.actor_critic import critics, is_antmaze, range_scaled
from pogo.core.algorithms.base import AlgorithmDefinition
from pogo.core.algorithms.hyperparameters import check_between, check_not_negative, check_positive
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.errors import check_name
from pogo.core.problem.actors import ActorConfig, FlowConfig
from pogo.core.problem.noise import Draw, dropout_masks, normal, uniform01
from pogo.core.problem.parameters import LayerInitialisers, Params, constant, mlp_parameters, xavier
from pogo.core.problem.spec import TrainSpec

QAggregate = Literal["mean", "min"]

ACTION_CLIP = 1.0 - 1e-5  # of the dataset's actions


@dataclass(frozen=True)
class Hyperparameters:
    """Published defaults."""

    alpha: float = 10.0  # weight of distillation against Q
    flow_steps: int = 10  # of Euler's method
    q_agg: str = "mean"  # of the TD target: mean | min
    normalize_q_loss: bool = False
    discount: float = 0.99
    tau: float = 0.005
    learning_rate: float = 3e-4  # of every network
    critic_hidden_sizes: tuple[int, ...] = (512, 512, 512, 512)
    actor_hidden_sizes: tuple[int, ...] = (512, 512, 512, 512)  # of the one-step actor and of the flow
    critic_layer_norm: bool = True
    actor_layer_norm: bool = False
    normalize_states: bool = False
    normalize_rewards: bool = False

    def __post_init__(self) -> None:
        check_name("algorithm.q_agg", self.q_agg, get_args(QAggregate))
        check_between("algorithm.discount", self.discount, 0.0, 1.0)
        check_between("algorithm.tau", self.tau, 0.0, 1.0)
        check_not_negative("algorithm.alpha", self.alpha)
        for name in ("flow_steps", "learning_rate"):
            check_positive(f"algorithm.{name}", getattr(self, name))
        for size in self.critic_hidden_sizes:
            check_positive("algorithm.critic_hidden_sizes, an entry", size)


class FQL(AlgorithmDefinition[Hyperparameters]):
    """Flow Q-learning, but for its mathematics."""

    initialisers = LayerInitialisers(xavier(1.0), constant(0.0), xavier(1.0), constant(0.0))

    @override
    def default_actor(self, hp: Hyperparameters) -> ActorConfig:
        """The published one-step actor: a map of observation and latent with a linear head, clipped where it acts."""
        return ActorConfig(
            kind="stochastic",
            hidden_sizes=hp.actor_hidden_sizes,
            activation="gelu_tanh",
            layer_norm=hp.actor_layer_norm,
            output="clipped",
        )

    @override
    def noise_spec(self, spec: TrainSpec[Hyperparameters]) -> dict[str, Draw]:
        """Latents of the TD target, of the flow's start and time, and those that distillation and Q share."""
        action = normal(spec.batch_size, spec.action_size)
        draws = {"flow_x0": action, "flow_t": uniform01(spec.batch_size, 1), "distill": action}
        if spec.actors[0].is_stochastic:
            draws |= {"next_action": action}
        return draws | dropout_masks(spec.actors[0], spec.batch_size)

    @override
    def initial_networks(self, rng: np.random.Generator, spec: TrainSpec[Hyperparameters]) -> dict[str, Params]:
        """Critics and the flow; actors are the chain's."""
        hp, observation, action = spec.hyperparameters, spec.observation_size, spec.action_size
        flow = self.flow(hp)
        flow_sizes = (flow.input_size(observation, action), *flow.hidden_sizes, flow.output_size(action))
        return {
            "critic": critics(rng, spec, hp.critic_hidden_sizes, self.initialisers, hp.critic_layer_norm),
            "flow": mlp_parameters(rng, flow_sizes, self.initialisers, flow.layer_norm),
        }

    @override
    def critic_activation(self, hp: Hyperparameters) -> str:
        """As every network of FQL."""
        return "gelu_tanh"

    @override
    def flow(self, hp: Hyperparameters) -> FlowConfig:
        """The behaviour flow, of the actor's own sizes."""
        return FlowConfig(hp.flow_steps, hp.actor_hidden_sizes, hp.actor_layer_norm)

    @override
    def learning_rates(self, hp: Hyperparameters) -> dict[str, float]:
        """The trained networks and their base rates."""
        return dict.fromkeys(("actor_0", "critic", "flow"), hp.learning_rate)

    @override
    def preprocessing(self, hp: Hyperparameters, dataset: str) -> Preprocessing:
        """States as they are; rewards minus 1 on AntMaze; actions clipped just inside the box."""
        if is_antmaze(dataset):  # whatever `normalize_rewards` says, as the original
            return Preprocessing(normalize_states=hp.normalize_states, reward_shift=-1.0, action_clip=ACTION_CLIP)
        return replace(range_scaled(hp, dataset), action_clip=ACTION_CLIP)


DEFINITION = FQL(Hyperparameters)
