"""Actor kinds and their configuration: what both backends build an actor from."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

from pogo.core.errors import BadInput
from pogo.core.registry import check_name

ActorKind = Literal["gaussian", "tanh_gaussian", "stochastic", "deterministic"]
Activation = Literal["relu", "tanh", "gelu_tanh"]
LogStd = Literal["free", "head", "fixed"]
Std = Literal["exp", "softplus"]
Output = Literal["tanh", "clipped"]
TanhDensity = Literal["softplus", "epsilon"]

ACTOR_KINDS: tuple[str, ...] = get_args(ActorKind)
_GAUSSIAN_KINDS = ("gaussian",)
_STOCHASTIC_KINDS = ("gaussian", "tanh_gaussian", "stochastic")
_DENSITY_KINDS = ("gaussian", "tanh_gaussian")
_CHOICES: dict[str, tuple[str, ...]] = {
    "activation": get_args(Activation),
    "log_std": get_args(LogStd),
    "std": get_args(Std),
    "output": get_args(Output),
    "density": get_args(TanhDensity),
}


@dataclass(frozen=True)
class ActorConfig:
    """One actor's kind and architecture. The kind fixes what the actor can do; the rest is how it is built.

    Every network is `hidden_sizes` blocks of (linear, activation, layer norm if asked, dropout if asked), then a
    linear head. Options that a kind has no use for are ignored by it.

    Raises:
        BadInput: a value is outside what the field allows.
    """

    kind: str
    hidden_sizes: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    layer_norm: bool = False  # after each activation, epsilon 1e-6, as ReBRAC and FQL
    dropout: float = 0.0  # share of hidden units dropped while actor 0 trains
    max_action: float = 1.0  # bound of the action box
    output: str = "tanh"  # stochastic, deterministic: `clipped` is a linear head cut at +-max_action
    tanh_mean: bool = True  # gaussian: mean = max_action * tanh(head), else the head itself
    log_std: str = "free"  # a trained vector [A]; `head`: a second half of the head, one per state; `fixed`: untrained
    log_std_init: float = 0.0  # start of the free vector; what `fixed` stays at
    log_std_min: float = -20.0
    log_std_max: float = 2.0
    log_std_affine: bool = False  # head: log_std = multiplier * raw + offset, both trained (CQL)
    log_std_multiplier_init: float = 1.0
    log_std_offset_init: float = -1.0
    std: str = "exp"  # head: exp(log_std), or softplus(raw) + 0.01 without limits (SAC)
    density: str = "softplus"  # tanh_gaussian: exact change of variables, or log(1 - tanh^2 + 1e-6) (SAC-N, EDAC)

    def __post_init__(self) -> None:
        check_name("actor kind", self.kind, ACTOR_KINDS)
        for field in fields(self):
            _check_type(f"{self.kind} actor's {field.name}", getattr(self, field.name), field.type)
        object.__setattr__(self, "hidden_sizes", tuple(int(size) for size in self.hidden_sizes))
        for field, known in _CHOICES.items():
            check_name(f"{self.kind} actor's {field}", getattr(self, field), known)
        problems = {
            "hidden_sizes": any(size < 1 for size in self.hidden_sizes),
            "dropout": not 0.0 <= self.dropout < 1.0,
            "max_action": not self.max_action > 0.0,
            "log_std_min": not self.log_std_min < self.log_std_max,
        }
        for field, is_bad in problems.items():
            if is_bad:
                raise BadInput(
                    f"{self.kind} actor: {field}={getattr(self, field)} is out of range; "
                    "sizes are at least 1, 0 <= dropout < 1, max_action > 0 and log_std_min < log_std_max."
                )

    @property
    def is_gaussian(self) -> bool:
        """Whether the action is a Normal around `mean_std`, so that W2 has a closed form."""
        return self.kind in _GAUSSIAN_KINDS

    @property
    def is_stochastic(self) -> bool:
        """Whether sampling needs noise."""
        return self.kind in _STOCHASTIC_KINDS

    @property
    def has_density(self) -> bool:
        """Whether `log_prob_actions` is a density, rather than the zeros that stand for none."""
        return self.kind in _DENSITY_KINDS

    @property
    def samples_for_loss(self) -> bool:
        """Whether `action_for_loss` needs noise: a gaussian's is its mean."""
        return self.is_stochastic and not self.is_gaussian

    @property
    def has_free_log_std(self) -> bool:
        """Whether log_std is a trained vector of its own."""
        return self.has_density and self.log_std == "free"

    def input_size(self, observation_size: int, action_size: int) -> int:
        """Width of the first layer's input: a transport map reads z beside the observation."""
        return observation_size + (action_size if self.kind == "stochastic" else 0)

    def output_size(self, action_size: int) -> int:
        """Width of the head."""
        return action_size * (2 if self.has_density and self.log_std == "head" else 1)


def _check_type(name: str, value: Any, kind: Any) -> None:
    """Refuse what is not of the field's type: entries of `chain.actors` come as they were typed."""
    if kind is bool:
        fits, wanted = isinstance(value, bool), "true or false"
    elif kind is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        fits, wanted = is_number and math.isfinite(value), "a finite number"
    elif kind is str:
        fits, wanted = isinstance(value, str), "a name"
    else:
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        fits = is_list and all(isinstance(size, int) and not isinstance(size, bool) for size in value)
        wanted = "a list of whole numbers"
    if not fits:
        raise BadInput(f"{name}={value!r} is not {wanted}.")


def resolve_actors(
    entries: Sequence[Mapping[str, Any]], num_actors: int, default: ActorConfig
) -> tuple[ActorConfig, ...]:
    """The chain's actors, from `chain.actors` and the algorithm's own actor 0.

    An entry of the default's kind changes the fields that it names; an entry of another kind keeps the default's
    network (sizes, activation, layer norm) and takes that kind's own options. The last entry repeats.

    Raises:
        BadInput: more entries than actors, an unknown kind or option, or a value out of range.
    """
    if len(entries) > num_actors:
        raise BadInput(
            f"chain.actors has {len(entries)} entries for chain.num_actors={num_actors}; drop some or raise num_actors."
        )
    if not entries:
        return (default,) * num_actors
    # Every algorithm works in a box of [-1, 1]: its bound is no option.
    known = [field.name for field in fields(ActorConfig) if field.name != "max_action"]
    configs = []
    for index, entry in enumerate(entries):
        options = {str(key): value for key, value in entry.items()}
        for key in options:
            check_name(f"chain.actors[{index}] option", key, known)
        kind = options.get("kind", default.kind)
        check_name(f"chain.actors[{index}] kind", kind, ACTOR_KINDS)
        if kind == default.kind:
            base = default
        else:
            base = ActorConfig(
                kind=kind,
                hidden_sizes=default.hidden_sizes,
                activation=default.activation,
                layer_norm=default.layer_norm,
                log_std="head" if kind == "tanh_gaussian" else "free",
                log_std_min=-5.0 if kind == "tanh_gaussian" else -20.0,
            )
        try:
            configs.append(replace(base, **options))
        except BadInput as error:
            raise BadInput(f"chain.actors[{index}]: {error}") from error
    configs += [configs[-1]] * (num_actors - len(configs))
    return tuple(configs)
