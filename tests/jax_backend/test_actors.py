from tests.actor_checks import ActorChecks


class TestActors(ActorChecks):
    backend = "jax"
