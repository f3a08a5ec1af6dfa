"""How each algorithm's recordings read: names of networks, draws, hyperparameters and metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pogo.core.actors import ActorConfig
from pogo.core.chain import ChainConfig
from pogo.core.errors import BadInput
from pogo.core.golden.names import NetworkPlace
from pogo.core.golden.recording import Recording
from pogo.core.registry import load_algorithm

MAX_RECORDED_ACTORS = 16


@dataclass(frozen=True)
class Adapter:
    """One algorithm's recordings in pogo's terms."""

    places: Mapping[str, NetworkPlace]  # recorded network -> canonical one
    hyperparameters: Mapping[str, str | tuple[str, ...] | None]  # recorded name -> pogo's; None: implied by the arrays
    metrics: Mapping[str, str]  # recorded name -> pogo's
    name_draws: Callable[[list[np.ndarray], Recording], dict[str, np.ndarray]]
    chain: Callable[[Recording], ChainConfig] = lambda recording: ChainConfig(1, ())
    fixed: Callable[[Recording], dict[str, Any]] = lambda recording: {}  # hyperparameters under other forms


def _iql_draws(draws: list[np.ndarray], recording: Recording) -> dict[str, np.ndarray]:
    return {f"actor_dropout_{index}": mask for index, mask in enumerate(draws)}


def _rebrac_draws(draws: list[np.ndarray], recording: Recording) -> dict[str, np.ndarray]:
    return {"target_policy": draws[0]}  # a second one serves a logged number only


def _awac_draws(draws: list[np.ndarray], recording: Recording) -> dict[str, np.ndarray]:
    return {"next_action": draws[0], "value_action": draws[1]}


def _sac_n_draws(draws: list[np.ndarray], recording: Recording) -> dict[str, np.ndarray]:
    return {"alpha_action": draws[0], "policy_action": draws[1], "next_action": draws[2]}  # the fourth is for a log


def _cql_draws(draws: list[np.ndarray], recording: Recording) -> dict[str, np.ndarray]:
    names = ["policy_action", "next_action", "uniform_actions", "current_actions", "cql_next_actions"]
    if len(draws) > len(names):  # the BC phase draws a second sample after the first
        names.insert(1, "bc_action")
    named = dict(zip(names, draws, strict=True))
    return {"bc_action": named["policy_action"]} | named  # unused outside the BC phase, but part of the noise


def _fql_draws(draws: list[np.ndarray], recording: Recording) -> dict[str, np.ndarray]:
    return dict(zip(("next_action", "flow_x0", "flow_t", "distill"), draws, strict=False))  # the fifth is for a log


def _pogo_draws(draws: list[np.ndarray], recording: Recording) -> dict[str, np.ndarray]:
    names = ["target_action"] + (["target_policy"] if recording.hyperparameters["noise_shaping"] else [])
    names.append("policy_action")
    for index in range(1, len(recording.hyperparameters["w2_weights"])):
        names += [f"actor_{index}/energy", f"actor_{index}/w2", f"actor_{index}/w2_reference"]
    named = dict(zip(names, draws, strict=False))  # updates without the actors draw the first two only
    shape = draws[0].shape
    filled = {name: np.zeros(shape if name.count("w2") == 0 else (shape[0], 4, shape[1])) for name in names}
    return {name: named.get(name, filled[name].astype(recording.dtype)) for name in names}


def _pogo_chain(recording: Recording) -> ChainConfig:
    weights = recording.hyperparameters["w2_weights"]
    # Published for GeomLoss's cost |x - y|^2 / 2: halved on pogo's scale.
    return ChainConfig(len(weights), tuple(weight / 2 for weight in weights[1:]), init="independent")


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
        "alpha_loss": "temperature/loss",
        "batch_entropy": "entropy",
        "critic_loss": "critic/loss",
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
        metrics={"value_loss": "value/loss", "q_loss": "critic/loss", "actor_loss": "actor_0/loss"},
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
            "critic_loss": "critic/loss",
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
        metrics={"critic_loss": "critic/loss", "actor_loss": "actor_0/loss"},
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
        metrics={"critic_loss": "critic/loss", "actor_loss": "actor_0/loss"},
        name_draws=_awac_draws,
    ),
    "cql": Adapter(
        places={
            "actor": NetworkPlace("actor_0"),
            "critic_1": NetworkPlace("critic_1"),
            "critic_2": NetworkPlace("critic_2"),
            "log_alpha": NetworkPlace("temperature"),
            "log_alpha_prime": NetworkPlace("multiplier"),
        },
        hyperparameters={
            "alpha_multiplier": "alpha_multiplier",
            "backup_entropy": "backup_entropy",
            "bc_steps": "bc_updates",
            "cql_alpha": "cql_alpha",
            "cql_clip_diff_max": "clip_diff_max",
            "cql_clip_diff_min": "clip_diff_min",
            "cql_importance_sample": "importance_sample",
            "cql_lagrange": "lagrange",
            "cql_max_target_backup": "max_target_backup",
            "cql_n_actions": "num_cql_actions",
            "cql_target_action_gap": "target_action_gap",
            "cql_temp": "temperature",
            "discount": "discount",
            "orthogonal_init": "orthogonal_init",
            "policy_log_std_multiplier": "log_std_multiplier",
            "policy_lr": "actor_learning_rate",
            "polyak_tau": "tau",
            "q_n_hidden_layers": None,
            "qf_lr": "critic_learning_rate",
            "target_entropy": None,
            "target_update_period": "target_update_period",
            "use_automatic_entropy_tuning": "tune_temperature",
        },
        metrics={
            "policy_loss": "actor_0/loss",
            "alpha_loss": "temperature/loss",
            "qf1_loss": "critic_1/td",
            "qf2_loss": "critic_2/td",
            "average_qf1": "critic_1/q",
            "average_qf2": "critic_2/q",
            "cql_min_qf1_loss": "critic_1/conservative",
            "cql_min_qf2_loss": "critic_2/conservative",
            "alpha_prime_loss": "multiplier/loss",
            "alpha_prime": "alpha_prime",
        },
        name_draws=_cql_draws,
    ),
    "fql": Adapter(
        places={
            "critic": NetworkPlace("critic"),
            "actor_onestep_flow": NetworkPlace("actor_0"),
            "actor_bc_flow": NetworkPlace("flow"),
        },
        hyperparameters={
            "actor_hidden_dims": None,
            "actor_layer_norm": "actor_layer_norm",
            "alpha": "alpha",
            "critic_layer_norm": "critic_layer_norm",
            "discount": "discount",
            "flow_steps": "flow_steps",
            "lr": "learning_rate",
            "normalize_q_loss": "normalize_q_loss",
            "polyak_tau": "tau",
            "q_agg": "q_agg",
            "value_hidden_dims": None,
        },
        metrics={
            "critic/critic_loss": "critic/loss",
            "critic/q_mean": "q",
            "actor/bc_flow_loss": "flow/loss",
            "actor/distill_loss": "actor_0/distillation",
            "actor/q_loss": "actor_0/q_loss",
        },
        name_draws=_fql_draws,
    ),
    "pogo": Adapter(
        places={f"actor_{index}": NetworkPlace(f"actor_{index}") for index in range(MAX_RECORDED_ACTORS)}
        | _TWIN_CRITICS,
        hyperparameters={
            "discount": "discount",
            "lr": ("actor_learning_rate", "critic_learning_rate"),
            "noise_clip": "noise_clip",
            "noise_shaping": "noise_shaping",
            "normalize_q": "normalize_q",
            "policy_freq": "policy_freq",
            "policy_noise": "policy_noise",
            "polyak_tau": "tau",
            "w2_weights": None,
        },
        metrics={"critic_loss": "critic/loss", "w2_0_distance": "actor_0/mean_squared_error"}
        | {f"actor_{index}_loss": f"actor_{index}/loss" for index in range(MAX_RECORDED_ACTORS)},
        name_draws=_pogo_draws,
        chain=_pogo_chain,
        fixed=lambda recording: {"w2_data": recording.hyperparameters["w2_weights"][0]},
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
        if value in ("inf", "-inf"):  # JSON has no infinities
            value = float(value)
        for option in (ours,) if isinstance(ours, str) else ours:
            options[option] = type(getattr(defaults, option))() if value is None else value
    return replace(defaults, **options | adapter.fixed(recording))


def actor_as_recorded(config: ActorConfig, arrays: Mapping[str, np.ndarray], network: str) -> ActorConfig:
    """`config` with the hidden sizes and layer norms that the recorded network has."""
    sizes = []
    while f"{network}/hidden_{len(sizes)}/bias" in arrays:
        sizes.append(arrays[f"{network}/hidden_{len(sizes)}/bias"].shape[-1])
    return replace(config, hidden_sizes=tuple(sizes), layer_norm=f"{network}/norm_0/scale" in arrays)
