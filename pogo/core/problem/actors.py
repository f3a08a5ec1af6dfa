"""Actor kinds and their configuration: what both backends build an actor from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, get_args

from pogo.core.errors import BadInput, check_name
from pogo.core.setting import Values

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
_Needs = tuple[tuple[str, tuple[Any, ...]], ...]
_CHOICES: dict[str, tuple[str, ...]] = {
    "activation": get_args(Activation),
    "log_std": get_args(LogStd),
    "std": get_args(Std),
    "output": get_args(Output),
    "density": get_args(TanhDensity),
}
# What an option is read with, option by option; the others are read by every kind.
_OF_LOG_STD: _Needs = (("kind", _DENSITY_KINDS),)
_OF_TRAINED: _Needs = (*_OF_LOG_STD, ("log_std", ("free", "head")))
_OF_LIMITED: _Needs = (*_OF_TRAINED, ("std", ("exp",)))
_OF_AFFINE: _Needs = (*_OF_LOG_STD, ("log_std", ("head",)), ("std", ("exp",)))
_NEEDS: dict[str, _Needs] = {
    "output": (("kind", ("stochastic", "deterministic")),),
    "tanh_mean": (("kind", _GAUSSIAN_KINDS),),
    "density": (("kind", ("tanh_gaussian",)),),
    "log_std": _OF_LOG_STD,
    "log_std_init": (*_OF_LOG_STD, ("log_std", ("free", "fixed"))),
    "log_std_min": _OF_LIMITED,
    "log_std_max": _OF_LIMITED,
    "std": _OF_TRAINED,
    "std_floor": (*_OF_TRAINED, ("std", ("softplus",))),
    "log_std_affine": _OF_AFFINE,
    "log_std_multiplier_init": (*_OF_AFFINE, ("log_std_affine", (True,))),
    "log_std_offset_init": (*_OF_AFFINE, ("log_std_affine", (True,))),
}
_LIMITS = ("log_std_init", "log_std_min", "log_std_max")


@dataclass(frozen=True)
class ActorConfig:
    """One actor's kind and architecture. The kind fixes what the actor can do; the rest is how it is built.

    Every network is `hidden_sizes` blocks of (linear, activation, layer norm if asked, dropout if asked), then a
    linear head. Options that a kind has no use for are ignored by it; `check_options` refuses to have them named.

    Raises:
        BadInput: a value is outside what the field allows.
    """

    kind: str
    hidden_sizes: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    layer_norm: bool = False  # after each activation, epsilon 1e-6, as ReBRAC and FQL
    dropout: float = 0.0  # share of hidden units dropped while actor 0 trains
    output: str = "tanh"  # stochastic, deterministic: `clipped` is a linear head cut to [-1, 1]
    tanh_mean: bool = True  # gaussian: mean = tanh(head), else the head itself
    log_std: str = "free"  # a trained vector [A]; `head`: a second half of the head, one per state; `fixed`: untrained
    log_std_init: float = 0.0  # start of the free vector; what `fixed` stays at
    log_std_min: float = -20.0
    log_std_max: float = 2.0
    log_std_affine: bool = False  # head: log_std = multiplier * raw + offset, both trained (CQL)
    log_std_multiplier_init: float = 1.0
    log_std_offset_init: float = -1.0
    std: str = "exp"  # free, head: exp(log_std), or softplus(log_std) + std_floor without limits (SAC)
    std_floor: float = 0.01
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
            "log_std_min": not self.log_std_min < self.log_std_max,
            "std_floor": not self.std_floor > 0.0,
        }
        for field, is_bad in problems.items():
            if is_bad:
                raise BadInput(
                    f"{self.kind} actor: {field}={getattr(self, field)} is out of range; "
                    "sizes are at least 1, 0 <= dropout < 1, std_floor > 0, log_std_min < log_std_max."
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


@dataclass(frozen=True)
class FlowConfig:
    """A flow policy: a network gives the velocity of an action at an observation and a time from 0 to 1.

    It carries a draw of N(0, I) to an action, by Euler's method in so many steps; what comes out is cut to the box.
    """

    steps: int
    hidden_sizes: tuple[int, ...]
    layer_norm: bool
    activation: str = "gelu_tanh"

    kind: ClassVar[str] = "flow"
    is_stochastic: ClassVar[bool] = True

    def input_size(self, observation_size: int, action_size: int) -> int:
        """Width of the first layer's input: observation, action and time."""
        return observation_size + action_size + 1

    def output_size(self, action_size: int) -> int:
        """Width of the head."""
        return action_size


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


def resolve_actors(entries: Sequence[Values], num_actors: int, default: ActorConfig) -> tuple[ActorConfig, ...]:
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
    known = [field.name for field in fields(ActorConfig)]
    configs = []
    for index, entry in enumerate(entries):
        options = {str(key): value for key, value in entry.items()}
        if "max_action" in options:
            raise BadInput(
                f"chain.actors[{index}]: max_action={options['max_action']} is no option: the action box is fixed at "
                "[-1, 1], to which the data's actions are scaled; drop it."
            )
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


def check_options(entries: Sequence[Values], actors: Sequence[ActorConfig]) -> None:
    """Refuse an entry of `chain.actors` that names an option to no effect, or a log_std that would start cut.

    An option's default may be named where it is not read: it says what holds anyway, and actors are compared by all of
    their options (`chain.init=copy`, `resume_from`).

    Args:
        entries: as `resolve_actors` takes them.
        actors: what it made of them.

    Raises:
        BadInput: naming the entry, the option, and what it would take to be read.
    """
    defaults = {field.name: field.default for field in fields(ActorConfig)}
    for index, (entry, config) in enumerate(zip(entries, actors, strict=False)):
        for option in entry:
            value = getattr(config, option)
            if value != defaults[option] and (reason := _why_unread(option, index, actors)):
                raise BadInput(f"chain.actors[{index}]: {option}={_text(value)} has no effect {reason}; drop it.")
        is_inside = config.log_std_min <= config.log_std_init <= config.log_std_max
        if config.has_free_log_std and config.std == "exp" and not is_inside and not entry.keys().isdisjoint(_LIMITS):
            raise BadInput(
                f"chain.actors[{index}]: log_std_init={config.log_std_init:g} is cut to [log_std_min, log_std_max] = "
                f"[{config.log_std_min:g}, {config.log_std_max:g}] and gets no gradient there; start it inside."
            )


def _why_unread(option: str, index: int, actors: Sequence[ActorConfig]) -> str:
    """Why actor `index` does not read an option; empty if it does."""
    config = actors[index]
    if option == "dropout" and index > 0 and config != actors[0]:
        return "after actor 0, whose own loss alone drops units"
    for other, wanted in _NEEDS.get(option, ()):
        have = getattr(config, other)
        # What is not read itself keeps nothing else from being read.
        if have not in wanted and not _why_unread(other, index, actors):
            return f"with {other}={_text(have)}, only with {other}={' or '.join(map(_text, wanted))}"
    return ""


def _text(value: Any) -> str:
    """As it is written in a config."""
    return str(value).lower() if isinstance(value, bool) else str(value)
