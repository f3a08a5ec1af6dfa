import torch

from pogo.torch_backend import algorithm


class Algorithm(algorithm.Algorithm):
    def update(self, state, batch, noise):
        return state._replace(updates=state.updates + 1), {}

    def energy(self, state, actor, batch, noise):
        hp = self.hyperparameters
        if hp.gradient:
            return self.expected_energy(actor, batch["observations"])
        actions = actor.action_for_energy(batch["observations"], noise.get("energy"))
        return 0.5 * hp.curvature * ((actions - hp.centre) ** 2).sum(-1).mean()

    def expected_energy(self, actor, observations):
        hp = self.hyperparameters
        mean, std = actor.mean_std(observations)
        size = mean.shape[-1]
        gradient, hessian = (torch.tensor(values, dtype=mean.dtype) for values in (hp.gradient, hp.hessian))
        hessian = hessian.reshape(size, size)
        x = mean - torch.tensor(hp.centre, dtype=mean.dtype)
        q = x @ gradient + 0.5 * ((x @ hessian) * x).sum(-1) + 0.5 * (std**2 * hessian.diagonal()).sum(-1)
        return (-q - hp.entropy_weight * torch.log(std).sum(-1)).mean()
