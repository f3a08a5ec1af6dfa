"""SAC in torch. Twin: pogo/jax_backend/algorithms/sac.py.

Haarnoja et al. 2018, arXiv:1801.01290 and arXiv:1812.05905, in the order of CS285's homework 3 (2023).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pogo.core.algorithms.sac import CRITIC_DRAWS, Hyperparameters
from pogo.core.problem.state import TrainState
from pogo.torch_backend import algorithm
from pogo.torch_backend.actors import Actor
from pogo.torch_backend.gradients import min_over_members
from pogo.torch_backend.losses import bootstrapped, mean_td_loss, temperature_loss
from pogo.torch_backend.networks import Params, q_values
from pogo.torch_backend.optimizers import copy_target, linear_decay, minimise, move_target, steps_taken

Arrays = Mapping[str, Tensor]


def backup(next_q: Tensor, noise: Arrays, hp: Hyperparameters) -> Tensor:
    """What each member learns from the slow members' values, [E, B] of [E, B]; `redq_pair` is [2, B]."""
    if hp.target_backup == "double_q":
        return next_q.flip(0)  # each from the other
    if hp.target_backup == "redq":
        next_v = min_over_members(next_q.gather(0, noise["redq_pair"].long()))
    else:
        next_v = min_over_members(next_q) if hp.target_backup == "min" else next_q.mean(dim=0)
    return next_v.expand_as(next_q)


def actor_value(q: Tensor, hp: Hyperparameters) -> Tensor:
    """What an actor climbs, [B], of the members' values [E, B]: their mean or their minimum (`actor_q`)."""
    return min_over_members(q) if hp.actor_q == "min" else q.mean(dim=0)


def td_target(
    actor: Actor, target_critic: Params, alpha: Tensor | float, batch: Arrays, noise: Arrays, hp: Hyperparameters
) -> Tensor:
    """Target of each member, [E, B]: the backup at one sample of the actor, and the entropy at another."""
    observations = batch["next_observations"]
    next_actions = actor.action_for_energy(observations, noise.get("next_action"))
    next_q = backup(q_values(target_critic, observations, next_actions, hp.activation), noise, hp)
    if hp.use_entropy_bonus and hp.backup_entropy and actor.config.has_density:
        next_q = next_q - alpha * log_probs_of_draws(actor, observations, noise["next_entropy"])
    return bootstrapped(batch, next_q, hp.discount)


def log_probs_of_draws(actor: Actor, observations: Tensor, noise: Tensor) -> Tensor:
    """Log-densities [B] of the draws that noise [B, A] gives; minus their mean estimates the entropy."""
    return actor.clipped_samples_and_draw_log_probs(observations, noise[:, None, :])[1][:, 0]


def reparametrized_loss(
    actor: Actor, critic: Params, observations: Tensor, noise: Tensor | None, hp: Hyperparameters
) -> Tensor:
    """-Q at one sample of noise [B, A], through which the gradient flows; a mean over the batch. SAC."""
    q = q_values(critic, observations, actor.action_for_energy(observations, noise), hp.activation)
    return -actor_value(q, hp).mean()


def reinforce_loss(actor: Actor, critic: Params, observations: Tensor, noise: Tensor, hp: Hyperparameters) -> Tensor:
    """-log pi(p|s) Q(s, p), a mean over the samples p of noise [B, M, A], which are constants, and over the batch.

    Its gradient, not its value, estimates that of -E Q: Williams 1992. Q is `actor_value`, without a baseline.
    """
    actions, log_probs = actor.clipped_samples_and_draw_log_probs(observations, noise, constant=True)
    rows = observations.repeat_interleave(actions.shape[1], dim=0)
    with torch.no_grad():
        q = actor_value(q_values(critic, rows, actions.reshape(len(rows), -1), hp.activation), hp)
    return -(log_probs * q.reshape(log_probs.shape)).mean()


class Algorithm(algorithm.Algorithm[Hyperparameters]):
    """SAC: critics that may value entropy, an actor that maximises their mean, or minimum, and its own entropy."""

    def update(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Tensor]]:
        """Critics, as often as asked on the same batch; actor 0 with the new critics; temperature; targets."""
        hp = self.hyperparameters
        alpha = self.alpha(state)
        state, metrics = self._move_critics(state, alpha, batch, noise)
        rate = self._learning_rate(hp.actor_schedule, hp.actor_learning_rate, state, "actor_0", 1)
        arguments = state.networks["critic"], alpha, batch, noise
        state, of_actor, log_probs = minimise(self._actor_0_loss, state, "actor_0", rate, *arguments)
        metrics |= of_actor
        if log_probs is not None:
            metrics["entropy"] = -log_probs.mean()
            if hp.tunes_temperature:  # without a density there is no entropy to tune by: alpha stays at its start
                target = -float(self.spec.action_size) if hp.target_entropy is None else hp.target_entropy
                rate = hp.temperature_learning_rate
                state, found, _ = minimise(temperature_loss, state, "temperature", rate, log_probs, target)
                metrics |= found | {"alpha": (alpha * torch.ones_like(log_probs[:1])).sum()}
        return self._move_target(state)._replace(updates=state.updates + 1), metrics

    def energy(self, state: TrainState, actor: Actor, batch: Arrays, noise: Arrays) -> Tensor:
        """Give alpha log pi - Q at the actor's sample: SAC's own objective, whichever gradient actor 0 takes."""
        observations, sample = batch["observations"], noise.get("energy")
        if not (self.hyperparameters.use_entropy_bonus and actor.config.has_density):
            q = self.critic_value(state, observations, actor.action_for_energy(observations, sample))
            return -self.energy_scale(q) * q.mean()
        actions, log_probs = actor.clipped_samples_and_draw_log_probs(observations, noise["energy"][:, None, :])
        q = self.critic_value(state, observations, actions[:, 0])
        return self.energy_scale(q) * (self.alpha(state) * log_probs[:, 0] - q).mean()

    def critic_value(self, state: TrainState, observations: Tensor, actions: Tensor) -> Tensor:
        """What an actor climbs, [B]: see `actor_value`."""
        q = q_values(state.networks["critic"], observations, actions, self.hyperparameters.activation)
        return actor_value(q, self.hyperparameters)

    def alpha(self, state: TrainState) -> Tensor | float:
        """The entropy's weight, without gradient."""
        if not self.hyperparameters.tunes_temperature:
            return self.hyperparameters.temperature
        return state.networks["temperature"]["log_alpha"].detach().exp()

    def _move_critics(
        self, state: TrainState, alpha: Tensor | float, batch: Arrays, noise: Arrays
    ) -> tuple[TrainState, dict[str, Tensor]]:
        """Steps of the critics, each with draws of its own; metrics are means over them."""
        hp = self.hyperparameters
        actor = self.actor(0, state.networks["actor_0"])
        steps = hp.num_critic_updates
        rate = self._learning_rate(hp.critic_schedule, hp.critic_learning_rate, state, "critic", steps)
        metrics: list[dict[str, Tensor]] = []
        for step in range(steps):
            draws = {name: noise[name][step] for name in CRITIC_DRAWS if name in noise}
            with torch.no_grad():
                target = td_target(actor, state.networks["target_critic"], alpha, batch, draws, hp)
            state, found, mean_q = minimise(mean_td_loss, state, "critic", rate, batch, target, hp.activation)
            metrics.append(found | {"q": mean_q, "td_target": target.mean()})
        return state, {name: sum(found[name] for found in metrics) / steps for name in metrics[0]}

    def _actor_0_loss(
        self, params: Params, critic: Params, alpha: Tensor | float, batch: Arrays, noise: Arrays
    ) -> tuple[Tensor, Tensor | None]:
        """Minus Q and minus alpha times the entropy, at draws of their own; the entropy's log-densities [B]."""
        hp, actor, observations = self.hyperparameters, self.actor(0, params, noise), batch["observations"]
        sample = noise.get("policy_action")
        if hp.actor_gradient == "reinforce":
            loss = reinforce_loss(actor, critic, observations, noise["policy_action"], hp)
            sample = noise["policy_action"][:, 0]
        else:
            loss = reparametrized_loss(actor, critic, observations, sample, hp)
        loss = loss + self.data_term(actor, batch, sample)
        if not actor.config.has_density:
            return loss, None
        log_probs = log_probs_of_draws(actor, observations, noise["entropy_action"])
        if hp.use_entropy_bonus:
            loss = loss + (alpha * log_probs).mean()
        return loss, log_probs.detach()

    def _move_target(self, state: TrainState) -> TrainState:
        """Towards the new critics, once per update; all the way on updates 1, 1 + period, ... of a hard target."""
        hp, critic = self.hyperparameters, state.networks["critic"]
        if hp.target_update_period is None:
            return move_target(state, "target_critic", critic, hp.tau)
        updates_before = steps_taken(state, "critic") // hp.num_critic_updates - 1
        return copy_target(state, "target_critic", critic, updates_before % hp.target_update_period == 0)

    def _learning_rate(
        self, schedule: str, base: float, state: TrainState, network: str, steps_per_update: int
    ) -> Tensor | float:
        if schedule == "constant":
            return base
        length = self.hyperparameters.schedule_updates
        assert length is not None  # `for_run` fills it in
        return linear_decay(base, state, network, length * steps_per_update)
