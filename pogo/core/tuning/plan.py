"""What a study's file asks for, checked: every option that a trial may take makes a config that can be run."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pogo.core.config.compose import compose_config
from pogo.core.config.launcher import is_of_launcher
from pogo.core.config.schema import LARGEST_SEED, Config
from pogo.core.data.environment import NO_ENVIRONMENT
from pogo.core.errors import BadInput
from pogo.core.learner.interface import MODES, Mode
from pogo.core.runs.plan import check_settings
from pogo.core.tuning.space import Space, read_parameter
from pogo.core.tuning.yaml_section import Section

Metric = Literal["normalized_score", "return"]
OverSeeds = Literal["mean", "min"]
SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "percentile", "successive_halving", "none")
LAST, ROOT = "last", "runs/tuning"
# Of a run, what the study sets itself, and by which of its own keys it is asked for.
_OWN = {
    "seed": "list them under seeds",
    "train.num_seeds": "list the seeds under seeds",
    "run.root": "the study's root says where its runs go",
    "run.dir": "the study's root says where its runs go",
    "run.variant": "each trial has a folder of its own",
    "run.wait": "a trial's runs wait for their folders in any case",
    "resume": "a trial's runs go on where they were in any case",
}


@dataclass(frozen=True)
class Objective:
    """What of a trial's runs is made as large as can be."""

    actor: int | None  # none: the last of the chain
    mode: Mode
    metric: Metric
    evaluations: int  # the mean of the last so many of each run
    over_seeds: OverSeeds

    def __str__(self) -> str:
        what = "normalised score" if self.metric == "normalized_score" else "return"
        actor = "the last actor" if self.actor is None else f"actor {self.actor}"
        when = "last evaluation" if self.evaluations == 1 else f"mean of the last {self.evaluations} evaluations"
        return f"{what} of {actor}, {self.mode}, {when}"


@dataclass(frozen=True)
class SamplerPlan:
    """Who chooses the options of a trial."""

    name: str
    seed: int
    startup: int  # of tpe: trials that are chosen at random before it begins


@dataclass(frozen=True)
class PrunerPlan:
    """Who ends trials early. Steps are those of the runs' clock: updates, or environment steps."""

    name: str
    startup: int  # of median and percentile: trials that are complete before it begins
    warmup: int  # no trial is ended before this step; of successive_halving the first at which some are
    percent: float  # of percentile: how many are kept
    reduction: int  # of successive_halving: one of so many is kept


@dataclass(frozen=True)
class StudyPlan:
    """A study's file."""

    file: Path
    name: str
    root: Path
    options: tuple[str, ...]  # of pogo-train, that all runs share
    space: Space
    objective: Objective
    seeds: tuple[int, ...]
    trials: int
    sampler: SamplerPlan
    pruner: PrunerPlan

    @property
    def folder(self) -> Path:
        """Of all that the study leaves."""
        return self.root / self.name

    @property
    def definition(self) -> Mapping[str, Any]:
        """What trials of one study have in common, and what hence may not change while it goes on."""
        return {
            "options": list(self.options),
            "space": {name: parameter.to_json() for name, parameter in self.space.items()},
            "objective": asdict(self.objective),
            "seeds": list(self.seeds),
        }

    def trial_folder(self, number: int) -> Path:
        """Of one trial."""
        return self.folder / "trials" / f"{number:04d}"

    def run_folder(self, number: int, seed: int) -> Path:
        """Of one run of a trial."""
        return self.trial_folder(number) / f"seed_{seed}"


def read_plan(file: Path) -> StudyPlan:
    """A study's file, its options not yet checked.

    Raises:
        BadInput: a key that is unknown, missing, or has a value that it cannot have.
    """
    section = Section.read(file)
    name = section.value("name")
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
        raise section.refusal("name", f"{name!r:.60} names no folder; write letters, digits and _ - .")
    root = section.value("root", ROOT)
    if not isinstance(root, str) or not root:
        raise section.refusal("root", f"{root!r:.60} is no folder; write a path such as {ROOT}")
    options = section.items("options", "options of pogo-train, such as [backend=jax, algorithm=iql]")
    if not all(isinstance(option, str) for option in options):
        raise section.refusal("options", "write each as KEY=VALUE, in quotes where YAML reads it otherwise")
    plan = StudyPlan(
        file=file,
        name=name,
        root=Path(root).expanduser(),
        options=tuple(options),
        space=_space(section.section("space")),
        objective=_objective(section.section("objective")),
        seeds=_seeds(section),
        trials=section.count("trials", 1, None),
        sampler=_sampler(_named(section, "sampler")),
        pruner=_pruner(_named(section, "pruner")),
    )
    section.close()
    _check_keys(section, plan)
    return plan


def check_plan(plan: StudyPlan) -> None:
    """Compose a config with each end and each choice of the space, the rest of it at its first value.

    Raises:
        BadInput: one that cannot be, or that has no result for the objective.
    """
    for key, arguments in _samples(plan):
        try:
            config = check_settings(compose_config([*plan.options, *arguments], in_sweep=True)).config
            _check_objective(plan.objective, config)
        except BadInput as error:
            where = f"space: {key}: " if key and key not in str(error) else ""
            raise BadInput(f"{plan.file}: {where}{error}") from error


def _samples(plan: StudyPlan) -> Iterator[tuple[str, list[str]]]:
    first = {name: parameter.texts()[0] for name, parameter in plan.space.items()}
    yield "", [f"{name}={text}" for name, text in first.items()]
    for name, parameter in plan.space.items():
        for text in parameter.texts()[1:]:
            yield name, [f"{each}={value}" for each, value in (first | {name: text}).items()]


def _check_objective(objective: Objective, config: Config) -> None:
    if not config.eval.episodes or config.env == NO_ENVIRONMENT:
        raise BadInput("objective: these runs are never evaluated; set eval.episodes above 0, and an env.")
    actors = config.actors
    if objective.actor is not None and objective.actor >= len(actors):
        raise BadInput(f"objective.actor: {objective.actor}: the chain has actors 0 to {len(actors) - 1}; use {LAST}.")
    actor = actors[-1 if objective.actor is None else objective.actor]
    if objective.mode == "stochastic" and not actor.is_stochastic:
        raise BadInput(f"objective.mode: stochastic: the actor is {actor.kind}; use deterministic.")
    count = math.ceil(config.length / config.eval.every) if config.eval.every else 1
    if objective.evaluations > count:
        raise BadInput(
            f"objective.evaluations: {objective.evaluations}: a run of {config.length} {config.clock.units} has "
            f"{count}; lower it, or eval.every={config.eval.every}."
        )


def _space(section: Section) -> Space:
    names = section.names()
    if not names:
        raise section.refusal("", "nothing is searched over; write OPTION: {float: [LOW, HIGH]}, or {choice: [A, B]}")
    return {name: read_parameter(section.section(name)) for name in names}


def _objective(section: Section) -> Objective:
    actor = section.value("actor", LAST)
    if actor != LAST and (type(actor) is not int or actor < 0):
        raise section.refusal("actor", f"{actor!r:.60} is no actor; write its number, or {LAST}")
    mode = section.word("mode", MODES, "deterministic")
    metric = section.word("metric", ("normalized_score", "return"), "normalized_score")
    evaluations = 1 if section.value("evaluations", LAST) == LAST else section.count("evaluations", 1, None)
    over_seeds = section.word("over_seeds", ("mean", "min"), "mean")
    section.close()
    return Objective(
        None if actor == LAST else actor,
        mode,  # type: ignore[arg-type] - one of them
        metric,  # type: ignore[arg-type]
        evaluations,
        over_seeds,  # type: ignore[arg-type]
    )


def _seeds(section: Section) -> tuple[int, ...]:
    seeds = section.items("seeds", "the seeds of every trial, such as [0, 1, 2]")
    if not all(type(seed) is int and 0 <= seed <= LARGEST_SEED for seed in seeds) or len(set(seeds)) < len(seeds):
        raise section.refusal("seeds", f"{seeds!r:.60}: write whole numbers from 0 on, each once")
    return tuple(seeds)


def _named(section: Section, name: str) -> Section:
    """The section of a sampler or a pruner, of which the name alone may stand for all of it."""
    given = section.value(name, {})
    return section.section(name) if isinstance(given, dict) else section.nested(name, {"name": given})


def _sampler(section: Section) -> SamplerPlan:
    name = section.word("name", SAMPLERS, "tpe")
    seed = section.count("seed", 0, 0)
    startup = section.count("startup", 0, 10) if name == "tpe" else 0
    section.close()
    return SamplerPlan(name, seed, startup)


def _pruner(section: Section) -> PrunerPlan:
    name = section.word("name", PRUNERS, "median")
    startup, warmup, percent, reduction = 0, 0, 50.0, 4
    if name in ("median", "percentile"):
        startup, warmup = section.count("startup", 0, 5), section.count("warmup", 0, 0)
    if name == "percentile":
        percent = section.number("percent", 25.0)
        if not 0 < percent < 100:
            raise section.refusal("percent", f"{percent:g} keeps all or none; write a number between 0 and 100")
    if name == "successive_halving":
        warmup, reduction = section.count("warmup", 1, None), section.count("reduction", 2, 4)
    section.close()
    return PrunerPlan(name, startup, warmup, percent, reduction)


def _check_keys(section: Section, plan: StudyPlan) -> None:
    """Refuse options that are the study's own, and those that are given twice."""
    given = [option.partition("=")[0].lstrip("+") for option in plan.options]
    for where, keys in (("options", given), ("space", list(plan.space))):
        for key in keys:
            if key in _OWN or is_of_launcher(key):
                mend = _OWN.get(key, "write it behind pogo-tune STUDY.yaml")
                raise section.refusal(where, f"{key} has no place here; {mend}")
    for key in plan.space:
        if key in given:
            raise section.refusal("space", f"{key} stands in options too; drop it in one of them")
