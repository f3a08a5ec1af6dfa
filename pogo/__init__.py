"""pogo: offline reinforcement learning as a JKO chain of policies, on PyTorch or JAX.

    import pogo

    dataset = pogo.Dataset.from_arrays(observations, actions, rewards, terminals, timeouts, env="Hopper-v5")
    run     = pogo.train(algorithm="iql", backend="jax", dataset=dataset, overrides={"train.updates": 50_000})
    policy  = pogo.load(run.path).policy(actor=2)
    action  = policy(observation)
    results = pogo.evaluate(run.path, episodes=50)

Training and reading runs:
    train       train an algorithm and its chain of actors on a dataset; gives a Run
    load        open a run's folder; gives a Run
    evaluate    run the actors of a run in its environment
    Dataset     recorded transitions, from arrays, episodes, steps or Minari
    Run         config, metrics, checkpoints, policies and values of a run
    Policy      one actor, acting: numpy in, numpy out; exported to torch, flax, ONNX and others

What goes wrong:
    BadInput    the caller can mend it; found before any work
    RunFailed   a run had started and could not go on

The commands (pogo-train, pogo-eval, pogo-export and others) do the same from a shell. What is not named here is
internal and may change in any version.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pogo.api.dataset import Dataset
    from pogo.api.policy import Policy
    from pogo.api.run import Run, evaluate, load
    from pogo.api.training import train
    from pogo.core.errors import BadInput, RunFailed

__version__ = "0.1.0"
__all__ = ["BadInput", "Dataset", "Policy", "Run", "RunFailed", "__version__", "evaluate", "load", "train"]

_HOMES = {  # imported when they are first asked for: a command that only says its version takes none of it
    "Dataset": "pogo.api.dataset",
    "Policy": "pogo.api.policy",
    "Run": "pogo.api.run",
    "evaluate": "pogo.api.run",
    "load": "pogo.api.run",
    "train": "pogo.api.training",
    "BadInput": "pogo.core.errors",
    "RunFailed": "pogo.core.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pogo' has no attribute {name!r}; it has {', '.join(__all__)}.")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
