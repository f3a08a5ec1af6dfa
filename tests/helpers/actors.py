"""Every kind of actor, in each form that it is built in."""

from pogo.core.problem.actors import ActorConfig

KINDS = {
    "gaussian": ActorConfig("gaussian", (16, 16)),
    "gaussian, unbounded mean": ActorConfig("gaussian", (16,), tanh_mean=False),
    "gaussian, log_std per state": ActorConfig("gaussian", (16,), log_std="head"),
    "gaussian, softplus": ActorConfig("gaussian", (16,), std="softplus", std_floor=0.05, log_std_init=-1.0),
    "gaussian, fixed std": ActorConfig("gaussian", (16,), tanh_mean=False, log_std="fixed", log_std_init=-1.5),
    "tanh_gaussian": ActorConfig("tanh_gaussian", (16, 16), log_std="head", log_std_min=-5.0),
    "tanh_gaussian, trained affine": ActorConfig("tanh_gaussian", (16,), log_std="head", log_std_affine=True),
    "tanh_gaussian, softplus": ActorConfig("tanh_gaussian", (16,), activation="tanh", log_std="head", std="softplus"),
    "stochastic": ActorConfig("stochastic", (16, 16)),
    "stochastic, clipped gelu": ActorConfig("stochastic", (16,), activation="gelu_tanh", output="clipped"),
    "deterministic": ActorConfig("deterministic", (16, 16), layer_norm=True),
}
