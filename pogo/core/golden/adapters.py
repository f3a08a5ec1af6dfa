"""How each algorithm's recordings read: names of networks, draws, hyperparameters and metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pogo.core.actors import ActorConfig
from pogo.core.errors import BadInput
from pogo.core.golden.names import NetworkPlace
from pogo.core.golden.recording import Recording
from pogo.core.registry import load_algorithm


@dataclass(frozen=True)
class Adapter:
    """One algorithm's recordings in pogo's terms."""

    places: Mapping[str, NetworkPlace]  # recorded network -> canonical one
    hyperparameters: Mapping[str, str | tuple[str, ...] | None]  # recorded name -> pogo's; None: implied by the arrays
    metrics: Mapping[str, str]  # recorded name -> pogo's
    name_draws: Callable[[list[np.ndarray], Recording], dict[str, np.ndarray]]


def _iql_draws(draws: list[np.ndarray], recording: Recording) -> dict[str, np.ndarray]:
    return {f"actor_dropout_{index}": mask for index, mask in enumerate(draws)}


def _rebrac_draws(draws: list[np.ndarray], recording: Recording) -> dict[str, np.ndarray]:
    return {"target_policy": draws[0]}  # a second one serves a logged number only


def _awac_draws(draws: list[np.ndarray], recording: Recording) -> dict[str, np.ndarray]:
    return {"next_action": draws[0], "value_action": draws[1]}


def _sac_n_draws(draws: list[np.ndarray], recording: Recording) -> dict[str, np.ndarray]:
    return {"alpha_action": draws[0], "policy_action": draws[1], "next_action": draws[2]}  # the fourth is for a log


_TWIN_CRITICS = {"critic_1": NetworkPlace("critic", 0), "critic_2": NetworkPlace("critic", 1)}

_SAC_N = Adapter(
    places={
        "actor": NetworkPlace("actor_0"),
        "critic": NetworkPlace("critic"),
        "log_alpha": NetworkPlace("temperature"),
    },
    hyperparameters={
        "actor_lr": "actor_learning_rate",
        "alpha_lr": "temperature_learning_rate",
        "critic_lr": "critic_learning_rate",
        "discount": "discount",
        "num_critics": "num_critics",
        "polyak_tau": "tau",
    },
    metrics={
        "alpha": "alpha",
        "alpha_loss": "temperature_loss",
        "batch_entropy": "entropy",
        "critic_loss": "critic_loss",
        "actor_loss": "actor_0/loss",
    },
    name_draws=_sac_n_draws,
)

ADAPTERS: dict[str, Adapter] = {
    "iql": Adapter(
        places={"actor": NetworkPlace("actor_0"), "value": NetworkPlace("value"), **_TWIN_CRITICS},
        hyperparameters={
            "actor_dropout": "actor_dropout",
            "actor_lr": "actor_learning_rate",
            "beta": "beta",
            "cosine_max_steps": "cosine_updates",
            "deterministic_actor": "deterministic",
            "discount": "discount",
            "exp_adv_max": "max_advantage_weight",
            "expectile_tau": "expectile",
            "polyak_tau": "tau",
            "qf_lr": "critic_learning_rate",
            "vf_lr": "value_learning_rate",
        },
        metrics={"value_loss": "value_loss", "q_loss": "critic_loss", "actor_loss": "actor_0/loss"},
        name_draws=_iql_draws,
    ),
    "rebrac": Adapter(
        places={"actor": NetworkPlace("actor_0"), "critic": NetworkPlace("critic"), **_TWIN_CRITICS},
        hyperparameters={
            "actor_bc_coef": "actor_bc_coef",
            "actor_ln": "actor_layer_norm",
            "actor_lr": "actor_learning_rate",
            "actor_n_hiddens": None,
            "critic_bc_coef": "critic_bc_coef",
            "critic_ln": "critic_layer_norm",
            "critic_lr": "critic_learning_rate",
            "critic_n_hiddens": None,
            "discount": "discount",
            "hidden_dim": None,
            "noise_clip": "noise_clip",
            "normalize_q": "normalize_q",
            "policy_freq": "policy_freq",
            "policy_noise": "policy_noise",
            "polyak_tau": "tau",
        },
        metrics={
            "critic_loss": "critic_loss",
            "q_min": "q",
            "actor_loss": "actor_0/loss",
            "bc_mse_policy": "actor_0/squared_error",
            "action_mse": "actor_0/mean_squared_error",
        },
        name_draws=_rebrac_draws,
    ),
    "td3_bc": Adapter(
        places={"actor": NetworkPlace("actor_0"), **_TWIN_CRITICS},
        hyperparameters={
            "alpha": "alpha",
            "discount": "discount",
            "lr": ("actor_learning_rate", "critic_learning_rate"),
            "noise_clip": "noise_clip",
            "policy_freq": "policy_freq",
            "policy_noise": "policy_noise",
            "polyak_tau": "tau",
        },
        metrics={"critic_loss": "critic_loss", "actor_loss": "actor_0/loss"},
        name_draws=_rebrac_draws,
    ),
    "awac": Adapter(
        places={"actor": NetworkPlace("actor_0"), **_TWIN_CRITICS},
        hyperparameters={
            "awac_lambda": "advantage_temperature",
            "discount": "discount",
            "exp_adv_max": "max_advantage_weight",
            "lr": ("actor_learning_rate", "critic_learning_rate"),
            "polyak_tau": "tau",
        },
        metrics={"critic_loss": "critic_loss", "actor_loss": "actor_0/loss"},
        name_draws=_awac_draws,
    ),
    "sac_n": _SAC_N,
    "edac": replace(_SAC_N, hyperparameters={**_SAC_N.hyperparameters, "eta": "eta"}),
}


def adapter_of(recording: Recording) -> Adapter:
    """The adapter of a recording's algorithm.

    Raises:
        BadInput: pogo has no such algorithm.
    """
    if recording.algorithm not in ADAPTERS:
        known = ", ".join(sorted(ADAPTERS))
        raise BadInput(f"golden file {recording.path} is of {recording.algorithm}, known are {known}.")
    return ADAPTERS[recording.algorithm]


def read_hyperparameters(recording: Recording) -> Any:
    """The algorithm's Hyperparameters as recorded; what a recording leaves out keeps its published default.

    Raises:
        BadInput: the file has a hyperparameter that pogo does not know, which may not be ignored.
    """
    adapter = adapter_of(recording)
    defaults = load_algorithm(recording.algorithm).Hyperparameters()
    options: dict[str, Any] = {}
    for name, value in recording.hyperparameters.items():
        if name not in adapter.hyperparameters:
            raise BadInput(f"golden file {recording.path}: hyperparameter {name}={value} is unknown to pogo.")
        ours = adapter.hyperparameters[name]
        if ours is None:
            continue
        if isinstance(value, str):  # infinities are written as words
            value = float(value)
        for option in (ours,) if isinstance(ours, str) else ours:
            options[option] = type(getattr(defaults, option))() if value is None else value
    return replace(defaults, **options)


def actor_as_recorded(config: ActorConfig, arrays: Mapping[str, np.ndarray], network: str) -> ActorConfig:
    """`config` with the hidden sizes and layer norms that the recorded network has."""
    sizes = []
    while f"{network}/hidden_{len(sizes)}/bias" in arrays:
        sizes.append(arrays[f"{network}/hidden_{len(sizes)}/bias"].shape[-1])
    return replace(config, hidden_sizes=tuple(sizes), layer_norm=f"{network}/norm_0/scale" in arrays)
