"""How each algorithm's recordings read: names of networks, draws, hyperparameters and metrics."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pogo.core.algorithms import load_algorithm
from pogo.core.algorithms.sac import AUTO, CRITIC_DRAWS
from pogo.core.errors import BadInput
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.chain import ChainConfig
from pogo.core.problem.noise import dropout_masks
from pogo.core.problem.spec import TrainSpec
from pogo.core.setting import Values
from pogo.core.verify.names import NetworkPlace
from pogo.core.verify.recording import Recording

MAX_RECORDED_ACTORS = 16


@dataclass(frozen=True)
class Adapter:
    """One algorithm's recordings in pogo's terms."""

    places: Mapping[str, NetworkPlace]  # recorded network -> canonical one
    hyperparameters: Mapping[str, str | tuple[str, ...] | None]  # recorded name -> pogo's; None: implied by the arrays
    metrics: Mapping[str, str]  # recorded name -> pogo's; a leading minus: its opposite
    draw_names: Callable[[TrainSpec, int], list[str]]  # of update number (from 1): pogo's names in call order
    logged_draws: int = 0  # how many may follow them that serve a logged number only
    required: tuple[str, ...] = ()  # hyperparameters without a default
    nulls: Values = field(default_factory=dict)  # what null means, where the original takes it for off
    chain: Callable[[Recording], ChainConfig] = lambda recording: ChainConfig(1, ())
    fixed: Callable[[Recording], dict[str, Any]] = lambda recording: {}  # hyperparameters under other forms
    actor: Values = field(default_factory=dict)  # options of the original's actor that pogo's own has otherwise
    same_draws: Mapping[str, str] = field(default_factory=dict)  # pogo's draw: the one that serves it in the original
    draws_of_steps: tuple[str, ...] = ()  # pogo's draws with an axis of steps, of which the original takes one


def _iql_draws(spec: TrainSpec, step: int) -> list[str]:
    return list(dropout_masks(spec.actors[0], spec.batch_size))


def _td3_draws(spec: TrainSpec, step: int) -> list[str]:
    return ["target_policy"]


def _awac_draws(spec: TrainSpec, step: int) -> list[str]:
    return ["next_action", "value_action"]


def _sac_n_draws(spec: TrainSpec, step: int) -> list[str]:
    return ["alpha_action", "policy_action", "next_action"]


def _cql_draws(spec: TrainSpec, step: int) -> list[str]:
    # The BC phase draws a second sample after the first.
    of_actor = ["policy_action", "bc_action"] if step <= spec.hyperparameters.bc_updates else ["policy_action"]
    return [*of_actor, "next_action", "uniform_actions", "current_actions", "cql_next_actions"]


def _fql_draws(spec: TrainSpec, step: int) -> list[str]:
    return ["next_action", "flow_x0", "flow_t", "distill"]


def _pogo_draws(spec: TrainSpec, step: int) -> list[str]:
    names = ["target_action"] + (["target_policy"] if spec.hyperparameters.noise_shaping else [])
    if not load_algorithm(spec.algorithm).actors_due(step - 1, spec.hyperparameters):
        return names
    names.append("policy_action")
    for index in range(1, spec.chain.num_actors):
        names += [f"actor_{index}/energy", f"actor_{index}/w2", f"actor_{index}/w2_reference"]
    return names


def _pogo_chain(recording: Recording) -> ChainConfig:
    weights = recording.hyperparameters.get("w2_weights")
    if not (isinstance(weights, list) and 1 <= len(weights) <= MAX_RECORDED_ACTORS and all(map(_is_weight, weights))):
        raise BadInput(f"hyperparameter w2_weights={weights!r:.60} is no list of 1 to {MAX_RECORDED_ACTORS} numbers of "
                       "at least 0; record one per actor.")  # fmt: skip
    stored = {name.split("/")[0] for name in recording.init if name.startswith("actor_")}
    if stored != {f"actor_{index}" for index in range(len(weights))}:
        listed = ", ".join(sorted(stored)) or "no actor"
        raise BadInput(f"hyperparameter w2_weights has {len(weights)} entries, but init holds {listed}; record one "
                       "for each of actor_0, actor_1, ...")  # fmt: skip
    # Published for GeomLoss's cost |x - y|^2 / 2: halved on pogo's scale.
    return ChainConfig(len(weights), tuple(weight / 2 for weight in weights[1:]), init="independent")


def _sac_draws(spec: TrainSpec, step: int) -> list[str]:
    return ["policy_action", "next_action"]


def _sac_options(recording: Recording) -> dict[str, Any]:
    """What stable-baselines3's SAC is in pogo's options: two critics, whose minimum both losses take."""
    temperature = recording.hyperparameters.get("ent_coef")
    if temperature != AUTO and not _is_weight(temperature):
        raise BadInput(f"hyperparameter ent_coef={temperature!r:.60} is neither {AUTO} nor a number of at least 0; "
                       "record the one that was used.")  # fmt: skip
    usual = {"num_critics": 2, "target_backup": "min", "actor_q": "min", "activation": "relu"}
    return usual | {"temperature": temperature}


def _is_weight(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= sys.float_info.max


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
        "hidden_dim": None,
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
    draw_names=_sac_n_draws,
    logged_draws=1,
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
            "hidden_dim": None,
            "n_hidden": None,
            "polyak_tau": "tau",
            "qf_lr": "critic_learning_rate",
            "vf_lr": "value_learning_rate",
        },
        metrics={"value_loss": "value/loss", "q_loss": "critic/loss", "actor_loss": "actor_0/loss"},
        draw_names=_iql_draws,
        required=("cosine_max_steps",),
        nulls={"actor_dropout": 0.0},
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
        draw_names=_td3_draws,
        logged_draws=1,
    ),
    "td3_bc": Adapter(
        places={"actor": NetworkPlace("actor_0"), **_TWIN_CRITICS},
        hyperparameters={
            "actor_lr": "actor_learning_rate",
            "alpha": "alpha",
            "critic_lr": "critic_learning_rate",
            "discount": "discount",
            "lr": ("actor_learning_rate", "critic_learning_rate"),
            "noise_clip": "noise_clip",
            "policy_freq": "policy_freq",
            "policy_noise": "policy_noise",
            "polyak_tau": "tau",
        },
        metrics={"critic_loss": "critic/loss", "actor_loss": "actor_0/loss"},
        draw_names=_td3_draws,
    ),
    "awac": Adapter(
        places={"actor": NetworkPlace("actor_0"), **_TWIN_CRITICS},
        hyperparameters={
            "awac_lambda": "advantage_temperature",
            "discount": "discount",
            "exp_adv_max": "max_advantage_weight",
            "hidden_dim": None,
            "lr": ("actor_learning_rate", "critic_learning_rate"),
            "polyak_tau": "tau",
        },
        metrics={"critic_loss": "critic/loss", "actor_loss": "actor_0/loss"},
        draw_names=_awac_draws,
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
            "cql_qf1_diff": "critic_1/gap",
            "cql_qf2_diff": "critic_2/gap",
            "log_pi": "-entropy",
            "alpha_prime_loss": "multiplier/loss",
            "alpha_prime": "alpha_prime",
        },
        draw_names=_cql_draws,
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
        draw_names=_fql_draws,
        logged_draws=1,
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
        draw_names=_pogo_draws,
        chain=_pogo_chain,
        fixed=lambda recording: {"w2_data": recording.hyperparameters["w2_weights"][0]},
    ),
    "sac_n": _SAC_N,
    "sac": Adapter(  # stable-baselines3's
        places={"actor": NetworkPlace("actor_0"), "log_alpha": NetworkPlace("temperature"), **_TWIN_CRITICS},
        hyperparameters={
            "ent_coef": None,
            "gamma": "discount",
            "learning_rate": ("actor_learning_rate", "critic_learning_rate", "temperature_learning_rate"),
            "n_critics": None,
            "target_entropy": "target_entropy",
            "target_update_interval": None,
            "tau": "tau",
        },
        metrics={
            "actor_loss": "actor_0/loss",
            "critic_loss": "critic/loss",
            "ent_coef": "alpha",
            "ent_coef_loss": "temperature/loss",
        },
        draw_names=_sac_draws,
        required=("ent_coef",),
        nulls={"target_entropy": None},
        fixed=_sac_options,
        actor={"std": "exp", "log_std_min": -20.0, "log_std_max": 2.0, "density": "epsilon"},
        same_draws={"entropy_action": "policy_action", "next_entropy": "next_action"},
        draws_of_steps=CRITIC_DRAWS,
    ),
    "edac": replace(_SAC_N, hyperparameters={**_SAC_N.hyperparameters, "eta": "eta"}),
}


def adapter_of(recording: Recording) -> Adapter:
    """The adapter of a recording's algorithm.

    Raises:
        BadInput: pogo has no such algorithm.
    """
    if recording.algorithm not in ADAPTERS:
        raise BadInput(f"it is of {recording.algorithm}, known are {', '.join(sorted(ADAPTERS))}.")
    return ADAPTERS[recording.algorithm]


def actor_as_recorded(config: ActorConfig, arrays: Mapping[str, np.ndarray], network: str) -> ActorConfig:
    """`config` with the hidden sizes that the recorded network has."""
    sizes = []
    while f"{network}/hidden_{len(sizes)}/bias" in arrays:
        bias = arrays[f"{network}/hidden_{len(sizes)}/bias"]
        sizes.append(bias.shape[-1] if bias.ndim else 1)
    return replace(config, hidden_sizes=tuple(sizes))
