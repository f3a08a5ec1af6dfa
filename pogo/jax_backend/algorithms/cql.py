"""CQL in JAX. Twin: pogo/torch_backend/algorithms/cql.py.

Kumar et al. 2020, arXiv:2006.04779, in the order of CORL's code: every loss sees the parameters from before the update.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient
from jax.nn import logsumexp

from pogo.core.algorithms.cql import CRITICS, MAX_ALPHA_PRIME, Hyperparameters
from pogo.core.problem.state import TrainState
from pogo.jax_backend import algorithm
from pogo.jax_backend.actors import Actor
from pogo.jax_backend.gradients import clip
from pogo.jax_backend.losses import bootstrapped, cloning_losses, temperature_loss
from pogo.jax_backend.networks import Params, mlp
from pogo.jax_backend.optimizers import minimise, move_target, steps_taken

Arrays = Mapping[str, Array]


class Proposals(NamedTuple):
    """Actions of the conservative term, all judged at the batch's observations, and their log-densities; detached."""

    actions: Array  # [B, 3 n, A]: uniform, of the actor at the next observations, of the actor at the observations
    log_probs: Array  # [B, 3 n]


def q_value(critic: Params, observations: Array, actions: Array) -> Array:
    """One critic's values, [B] of actions [B, A], or [B, n] of actions [B, n, A]."""
    if actions.ndim == 3:
        observations = jnp.broadcast_to(observations[:, None, :], (*actions.shape[:2], observations.shape[-1]))
    return mlp(critic, jnp.concatenate([observations, actions], axis=-1))[..., 0]


def min_q(critics: list[Params], observations: Array, actions: Array) -> Array:
    """The smaller of both critics' values, shaped as `q_value`; at a tie the gradient goes to the first."""
    first, second = (q_value(critic, observations, actions) for critic in critics)
    return jnp.where(first <= second, first, second)


def td_target(
    actor: Actor, target_critics: list[Params], alpha: Array, batch: Arrays, noise: Arrays, hp: Hyperparameters
) -> Array:
    """Double-Q target at a sample of the actor, or at the best of n (`max_target_backup`), [B]."""
    observations = batch["next_observations"]
    if hp.max_target_backup:
        actions, log_probs = actor.clipped_samples_and_log_probs(observations, noise["next_action"])
        values = min_q(target_critics, observations, actions)
        best = values.argmax(axis=1)
        next_q, log_probs = (jnp.take_along_axis(array, best[:, None], axis=1)[:, 0] for array in (values, log_probs))
    else:
        actions, log_probs = actor.clipped_sample_and_log_prob(observations, noise["next_action"])
        next_q = min_q(target_critics, observations, actions)
    if hp.backup_entropy:
        next_q = next_q - alpha * log_probs
    return bootstrapped(batch, next_q, hp.discount)


def propose(actor: Actor, batch: Arrays, noise: Arrays) -> Proposals:
    """The conservative term's actions: uniform ones, and the actor's at next and at present observations."""
    uniform = noise["uniform_actions"]
    ahead, ahead_log_probs = actor.clipped_samples_and_log_probs(batch["next_observations"], noise["cql_next_actions"])
    here, here_log_probs = actor.clipped_samples_and_log_probs(batch["observations"], noise["current_actions"])
    density = -uniform.shape[-1] * math.log(2.0)  # of the uniform law on [-1, 1]^A
    uniform_log_probs = jnp.full_like(ahead_log_probs, density)
    return Proposals(
        jnp.concatenate([uniform, ahead, here], axis=1),
        jnp.concatenate([uniform_log_probs, ahead_log_probs, here_log_probs], axis=1),
    )


def conservative_term(critic: Params, batch: Arrays, q_data: Array, proposals: Proposals, hp: Hyperparameters) -> Array:
    """Soft maximum of Q over the proposals minus Q of the data, clamped row by row, then averaged. CQL, equation 4."""
    columns = q_value(critic, batch["observations"], proposals.actions)
    if hp.importance_sample:
        columns = columns - proposals.log_probs
    else:
        columns = jnp.concatenate([columns, q_data[:, None]], axis=1)
    soft_maximum = hp.temperature * logsumexp(columns / hp.temperature, axis=1)
    return clip(soft_maximum - q_data, hp.clip_diff_min, hp.clip_diff_max).mean()


def critic_loss(
    critic: Params, batch: Arrays, target: Array, proposals: Proposals, weight: Array | float, hp: Hyperparameters
) -> tuple[Array, dict[str, Array]]:
    """TD error and `weight` times the conservative term (less the gap, with a Lagrange multiplier), of one critic."""
    q = q_value(critic, batch["observations"], batch["actions"])
    td = jnp.square(q - target).mean()
    gap = conservative_term(critic, batch, q, proposals, hp)
    offset = hp.target_action_gap if hp.lagrange else 0.0
    conservative = weight * (gap - offset)
    about = {"td": td, "gap": gap, "q": q.mean(), "conservative": conservative}
    return td + conservative, about


def multiplier_loss(multiplier: Params, gaps: Array, hp: Hyperparameters) -> tuple[Array, None]:
    """-(C_1 + C_2) / 2, scalar: the Lagrange multiplier grows while a gap is above its target."""
    return -(_alpha_prime(multiplier) * hp.cql_alpha * (gaps - hp.target_action_gap)).sum() / len(CRITICS), None


class Algorithm(algorithm.Algorithm[Hyperparameters]):
    """CQL: soft actor-critic whose critics are pushed down where the data is not."""

    def update(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Array]]:
        """Temperature, actor, multiplier and critics, each on the others' old values; then the targets."""
        hp = self.hyperparameters
        networks = state.networks
        critics = [networks[name] for name in CRITICS]
        alpha = self.alpha(state)
        actor = self.actor(0, networks["actor_0"])
        _, log_probs = actor.clipped_sample_and_log_prob(batch["observations"], noise["policy_action"])
        target_critics = [networks[f"target_{name}"] for name in CRITICS]
        target = td_target(actor, target_critics, alpha, batch, noise, hp)
        proposals = propose(actor, batch, noise)
        metrics: dict[str, Array] = {}
        if hp.tune_temperature and actor.config.has_density:
            target_entropy = -float(self.spec.action_size)
            state, metrics, _ = minimise(
                temperature_loss, state, "temperature", hp.actor_learning_rate, log_probs, target_entropy
            )
        is_cloning = steps_taken(state, "actor_0") + 1 <= hp.bc_updates
        arguments = critics, alpha, is_cloning, batch, noise
        state, of_actor, _ = minimise(self._actor_0_loss, state, "actor_0", hp.actor_learning_rate, *arguments)

        # From before the multiplier's step, which comes with the critics'.
        alpha_prime = stop_gradient(_alpha_prime(networks["multiplier"])) if hp.lagrange else 1.0
        weight = hp.cql_alpha * alpha_prime
        gaps = []
        for name in CRITICS:
            arguments = batch, target, proposals, weight, hp
            state, found, about = minimise(critic_loss, state, name, hp.critic_learning_rate, *arguments)
            metrics |= found | {f"{name}/{key}": value for key, value in about.items()}
            gaps.append(about["gap"])
        if hp.lagrange:
            rate = hp.critic_learning_rate
            state, found, _ = minimise(multiplier_loss, state, "multiplier", rate, jnp.stack(gaps), hp)
            metrics |= found | {"alpha_prime": alpha_prime}
        for name in CRITICS:
            due = steps_taken(state, name) % hp.target_update_period == 0
            tau = due.astype(target.dtype) * hp.tau if hp.target_update_period > 1 else hp.tau
            state = move_target(state, f"target_{name}", state.networks[name], tau)
        about = {
            "q": (metrics["critic_1/q"] + metrics["critic_2/q"]) / 2,
            "td_target": target.mean(),
            "alpha": (self.alpha(state) * jnp.ones_like(target[:1])).sum(),
            "entropy": -log_probs.mean(),
        }
        return state._replace(updates=state.updates + 1), metrics | of_actor | about

    def energy(self, state: TrainState, actor: Actor, batch: Arrays, noise: Arrays) -> Array:
        """Give alpha log pi - min Q at the actor's sample; in the BC phase the data's action instead of Q."""
        hp = self.hyperparameters
        observations, sample = batch["observations"], noise.get("energy")
        if actor.config.is_stochastic:
            actions, log_probs = actor.clipped_sample_and_log_prob(observations, noise["energy"])
        else:
            actions = actor.deterministic_actions(observations)
            log_probs = actor.log_prob_actions(observations, actions)
        q = self.critic_value(state, observations, actions)
        value, scale = -q, self.energy_scale(q)
        if hp.bc_updates > 0:
            is_cloning = steps_taken(state, "actor_0") <= hp.bc_updates
            value = jnp.where(is_cloning, cloning_losses(actor, batch, sample), value)
            scale = jnp.where(is_cloning, 1.0, scale)
        return scale * (self.alpha(state) * log_probs + value).mean()

    def critic_value(self, state: TrainState, observations: Array, actions: Array) -> Array:
        """The smaller of the critics' values, [B]."""
        return min_q([state.networks[name] for name in CRITICS], observations, actions)

    def alpha(self, state: TrainState) -> Array | float:
        """The entropy's weight, without gradient."""
        hp = self.hyperparameters
        if not hp.tune_temperature:
            return hp.alpha_multiplier
        return jnp.exp(state.networks["temperature"]["log_alpha"]) * hp.alpha_multiplier

    def _actor_0_loss(
        self,
        params: Params,
        critics: list[Params],
        alpha: Array | float,
        is_cloning: Array,
        batch: Arrays,
        noise: Arrays,
    ) -> tuple[Array, None]:
        """Give alpha log pi - min Q; in the BC phase a second sample's density stands for Q, as in the original."""
        actor, observations = self.actor(0, params, noise), batch["observations"]
        actions, log_probs = actor.clipped_sample_and_log_prob(observations, noise["policy_action"])
        value = -min_q(critics, observations, actions)
        if self.hyperparameters.bc_updates > 0:
            if actor.config.has_density:
                cloning = -actor.clipped_sample_and_log_prob(observations, noise["bc_action"])[1]
            else:
                cloning = cloning_losses(actor, batch, noise["bc_action"])
            value = jnp.where(is_cloning, cloning, value)
        loss = (alpha * log_probs + value).mean()
        return loss + self.data_term(actor, batch, noise["policy_action"]), None


def _alpha_prime(multiplier: Params) -> Array:
    return clip(jnp.exp(multiplier["log_alpha_prime"]), 0.0, MAX_ALPHA_PRIME).sum()  # of its one entry
