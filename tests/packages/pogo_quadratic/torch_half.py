from pogo.torch_backend import algorithm


class Algorithm(algorithm.Algorithm):
    def update(self, state, batch, noise):
        return state._replace(updates=state.updates + 1), {}

    def energy(self, state, actor, batch, noise):
        hp = self.hyperparameters
        actions = actor.action_for_energy(batch["observations"], noise.get("energy"))
        return 0.5 * hp.curvature * ((actions - hp.centre) ** 2).sum(-1).mean()
