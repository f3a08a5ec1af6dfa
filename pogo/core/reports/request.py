"""What a figure is asked to show, checked before a run is read."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from pogo.core.errors import BadInput, check_name
from pogo.core.learner.interface import Mode
from pogo.core.reports.dimensions import ACTOR, ALGORITHM, DATASET, dimension
from pogo.core.reports.quantities import OF_EACH_ACTOR, RETURN, SCORE, is_of_actors, is_of_evaluations
from pogo.core.reports.selection import ALL_ACTORS, LAST_ACTOR, ActorChoice
from pogo.core.reports.statistics import Resampling

Kind = Literal["curves", "bars", "dots", "chain", "profile", "returns", "ablation"]
XAxis = Literal["updates", "env_steps", "hours"]
Centre = Literal["mean", "iqm"]
KINDS: tuple[Kind, ...] = get_args(Kind)
X_AXES: tuple[XAxis, ...] = get_args(XAxis)
CENTRES: tuple[Centre, ...] = get_args(Centre)
NONE = "none"  # of --facet: one panel for all
# By kind, the dimensions that part lines and panels where neither is given. Bars, dots and returns stand side by side
# along the first dimension of the lines that differs.
_DEFAULTS: dict[Kind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "curves": ((ACTOR,), (DATASET, ALGORITHM)),
    "bars": ((ALGORITHM, ACTOR), (DATASET,)),
    "dots": ((ALGORITHM, ACTOR), (DATASET,)),
    "chain": ((ALGORITHM,), (DATASET,)),
    "profile": ((ALGORITHM,), ()),
    "returns": ((ALGORITHM, ACTOR), (DATASET,)),
    "ablation": ((ACTOR,), (DATASET, ALGORITHM)),
}


@dataclass(frozen=True)
class Request:
    """What to draw. What is empty or None is as the kind of figure has it by default."""

    kind: Kind = "curves"
    y: tuple[str, ...] = ()  # quantities
    x: XAxis | None = None
    by: tuple[str, ...] = ()  # dimensions
    facet: tuple[str, ...] = ()  # dimensions, or `none`
    over: str | None = None  # a dimension
    actors: ActorChoice = ALL_ACTORS
    modes: tuple[Mode, ...] = ()
    statistic: Centre | None = None
    level: float | None = 95.0  # of the intervals, in percent; None: without
    per_seed: bool = False

    @property
    def is_of_a_course(self) -> bool:
        """Whether it shows all of a run, not its end alone."""
        return self.kind == "curves"

    @property
    def is_in_categories(self) -> bool:
        """Whether the first dimension of its lines is along the x axis."""
        return self.kind in ("bars", "dots", "returns")

    @property
    def may_pool_datasets(self) -> bool:
        """Whether a number of it may be of several datasets, which the statistics draw from one by one."""
        return self.kind in ("bars", "dots", "chain", "profile", "ablation")

    def checked(self) -> "Request":
        """Itself, with the dimensions that it is drawn by.

        Raises:
            BadInput: an option is not what it may be, or not one of this kind of figure.
        """
        check_name("--kind", self.kind, KINDS)
        self._check_options()
        for quantity in self.y:
            self._check_quantity(quantity)
        if self.level is not None:
            Resampling(self.level).checked()
        by = tuple(dimension("--by", name) for name in self.by)
        facet = () if self.facet == (NONE,) else tuple(dimension("--facet", name) for name in self.facet)
        over = None if self.over is None else dimension("--over", self.over)
        named = [*by, *facet, *([over] if over else [])]
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            raise BadInput(f"{twice} is named twice by --by, --facet and --over; once is enough.")
        if self.kind == "chain" and ACTOR in named:
            raise BadInput("--kind chain has the actors side by side: leave actor out of --by and --facet.")
        default_by, default_facet = _DEFAULTS[self.kind]
        if not self.facet:
            wanted = [name for name in default_facet if not by or name == DATASET]  # who says --by means these lines
            facet = tuple(name for name in wanted if name not in named)
        if not by:
            by = tuple(name for name in default_by if name not in (*facet, over))
        return replace(self, by=by, facet=facet, over=over)

    def _check_options(self) -> None:
        kind = f"--kind {self.kind}"
        if self.x is not None and self.kind != "curves":
            raise BadInput(f"--x={self.x} is what curves are drawn against; leave it out with {kind}.")
        if self.over is None and self.kind == "ablation":
            raise BadInput("--kind ablation needs --over SETTING, such as --over algorithm.beta.")
        if self.over is not None and self.kind != "ablation":
            raise BadInput(f"--over={self.over} is what an ablation is drawn against: use --kind ablation, not {kind}.")
        if self.kind in ("profile", "returns") and self.per_seed:
            raise BadInput(f"{kind} is of every run or episode already: leave --per-seed out.")
        if self.kind in ("profile", "returns") and self.statistic is not None:
            raise BadInput(f"{kind} shows a distribution, not a --statistic: leave that out.")
        if self.kind == "chain" and LAST_ACTOR in self.actors.names:
            raise BadInput("--kind chain shows one actor after the other: use --actor all, or numbers such as 0,2.")
        if len(self.y) > 1 and self.kind != "chain":
            raise BadInput(f"--y={','.join(self.y)}: {kind} shows one quantity; name one, or use --kind chain.")

    def _check_quantity(self, quantity: str) -> None:
        if self.kind == "returns" and not is_of_evaluations(quantity):
            raise BadInput(f"--y={quantity}: --kind returns shows episodes; use {RETURN} or {SCORE}.")
        if self.kind == "chain" and not is_of_actors(quantity):
            raise BadInput(
                f"--y={quantity}: --kind chain shows what each actor has; use {SCORE}, {RETURN} or "
                f"{OF_EACH_ACTOR}NAME, such as {OF_EACH_ACTOR}w2_squared."
            )
        if not is_of_actors(quantity) and self.actors != ALL_ACTORS:
            raise BadInput(f"--actor chooses among actors, and --y={quantity} is one metric: leave --actor out.")
        if not is_of_evaluations(quantity) and self.modes:
            raise BadInput(f"--mode chooses among evaluations, and --y={quantity} is of training: leave --mode out.")
