"""The options that a study searches over, and the values that each may take."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from typing_extensions import override

from pogo.core.tuning.yaml_section import Section, is_number

if TYPE_CHECKING:
    import optuna

_STEP_TOLERANCE = 1e-9  # of a step, by which the upper end may miss the last one


class Parameter(ABC):
    """The values of one option."""

    @abstractmethod
    def texts(self) -> tuple[str, ...]:
        """Values that stand for all when the options are checked, as they are written on the command line."""

    @abstractmethod
    def suggest(self, trial: "optuna.Trial", name: str) -> str:
        """The value of a trial, as it is written on the command line: a new one, or the one that it has."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """The parameter as the study's file has it."""


@dataclass(frozen=True)
class Real(Parameter):
    """Numbers between two, these included."""

    low: float
    high: float
    log: bool  # whether their logarithm is evenly spread
    step: float | None

    @override
    def texts(self) -> tuple[str, ...]:
        return literal(self.low), literal(self.high)

    @override
    def suggest(self, trial: "optuna.Trial", name: str) -> str:
        return literal(trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log))

    @override
    def to_json(self) -> dict[str, Any]:
        return {"float": [self.low, self.high], "log": self.log, "step": self.step}


@dataclass(frozen=True)
class Whole(Parameter):
    """Whole numbers between two, these included."""

    low: int
    high: int
    log: bool
    step: int

    @override
    def texts(self) -> tuple[str, ...]:
        return literal(self.low), literal(self.high)

    @override
    def suggest(self, trial: "optuna.Trial", name: str) -> str:
        return literal(trial.suggest_int(name, self.low, self.high, step=self.step, log=self.log))

    @override
    def to_json(self) -> dict[str, Any]:
        return {"int": [self.low, self.high], "log": self.log, "step": self.step}


@dataclass(frozen=True)
class Choice(Parameter):
    """Values without an order, as they are written on the command line: Optuna stores no lists."""

    choices: tuple[str, ...]

    @override
    def texts(self) -> tuple[str, ...]:
        return self.choices

    @override
    def suggest(self, trial: "optuna.Trial", name: str) -> str:
        return trial.suggest_categorical(name, self.choices)

    @override
    def to_json(self) -> dict[str, Any]:
        return {"choice": list(self.choices)}


Space: TypeAlias = Mapping[str, Parameter]


def read_parameter(section: Section) -> Parameter:
    """One option's values.

    Raises:
        BadInput: they are not written as they must be, or are none.
    """
    kinds = [kind for kind in ("float", "int", "choice") if section.has(kind)]
    if len(kinds) != 1:
        raise section.refusal("", "write one of float: [LOW, HIGH], int: [LOW, HIGH] and choice: [A, B]")
    kind = kinds[0]
    if kind == "choice":
        parameter: Parameter = _choice(section)
    else:
        parameter = _real(section) if kind == "float" else _whole(section)
    section.close()
    return parameter


def literal(value: Any) -> str:
    """A value as Hydra's grammar writes it; text is taken as it stands."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(literal, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{name}: {literal(entry)}' for name, entry in value.items())}}}"
    return value if isinstance(value, str) else repr(value)


def _choice(section: Section) -> Choice:
    texts = tuple(map(literal, section.items("choice", "two values or more, such as [a, b]")))
    if len(set(texts)) < len(texts) or len(texts) < 2:
        raise section.refusal("choice", "write two values or more, each once")
    return Choice(texts)


def _real(section: Section) -> Real:
    low, high = (float(end) for end in _ends(section, "float"))
    log = section.flag("log")
    step = None if section.value("step") is None else section.number("step")
    if log and step is not None:
        raise section.refusal("step", "a logarithmic range has no steps; drop step, or log")
    _check_range(section, "float", low, high, log, step)
    return Real(low, high, log, step)


def _whole(section: Section) -> Whole:
    low, high = _ends(section, "int")
    if type(low) is not int or type(high) is not int:
        raise section.refusal("int", f"[{low}, {high}] are no whole numbers; write them without a point, or use float")
    log, step = section.flag("log"), section.count("step", 1, 1)
    if log and step != 1:
        raise section.refusal("step", "a logarithmic range has no steps; drop step, or log")
    _check_range(section, "int", low, high, log, step)
    return Whole(low, high, log, step)


def _ends(section: Section, kind: str) -> list[Any]:
    ends = section.items(kind, "its two ends, such as [1, 10]")
    if len(ends) != 2 or not all(map(is_number, ends)):
        raise section.refusal(kind, f"{ends!r:.60} are no two numbers; write its two ends, such as [1, 10]")
    return ends


def _check_range(section: Section, kind: str, low: float, high: float, log: bool, step: float | None) -> None:
    if low >= high:
        raise section.refusal(kind, f"[{low:g}, {high:g}] goes nowhere; write the lower end first")
    if log and low <= 0:
        raise section.refusal(kind, f"a logarithmic range begins above 0, not at {low:g}; raise it, or drop log")
    if step is None:
        return
    if step <= 0:
        raise section.refusal("step", f"{step:g} leads nowhere; write a number above 0")
    steps = (high - low) / step
    if steps < 1 - _STEP_TOLERANCE or abs(steps - round(steps)) > _STEP_TOLERANCE * max(1.0, steps):
        reached = low + max(1, int(steps)) * step
        raise section.refusal(kind, f"steps of {step:g} from {low:g} do not reach {high:g}; end it at {reached:g}, say")
