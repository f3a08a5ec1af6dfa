"""Results of many runs: mean and spread over seeds, per group of runs, actor and mode. pogo-report prints them.

Runs are found by their files, wherever they lie. A run that cannot be read costs one warning and its own place in the
table, never the others'.
"""

import contextlib
import dataclasses
import json
import logging
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple, TypeVar, get_args

from pogo.core.config.schema import Config
from pogo.core.data.sources import DatasetConfig, dataset_name
from pogo.core.errors import BadInput
from pogo.core.evaluation import Mode
from pogo.core.logs import EVALUATION, UPDATE
from pogo.core.run import CONFIG, SUMMARY

T = TypeVar("T")

MODES: tuple[Mode, ...] = get_args(Mode)
# What else config.json may hold (where a setting came from, what was asked for) is no setting.
_SETTINGS = {field.name for field in dataclasses.fields(Config)}
# Where and how a run was made, not what it computes.
_FREE_SECTIONS = {"seed", "run", "device", "threads", "resume", "logger", "checkpoint", "log"}
_FREE_KEYS = {"dataset.offline", "dataset.mirrors", "dataset.cache_dir", "dataset.max_gib", "eval.every"}
_LABEL_KEYS = {"dataset.name", "algorithm.name", "backend.name", "chain.w2_weights", "chain.last_w2_weight"}
_SAME_DATA = 1e-6  # relative: the last bits of a mean depend on the machine
_TYPE_NAMES = {str: "text", int: "a whole number", float: "a finite number", list: "a list", dict: "a mapping"}

logger = logging.getLogger("pogo")


class Labels(NamedTuple):
    """What every table says of a group of runs, in the order of its rows."""

    dataset: str
    algorithm: str
    backend: str
    w2_weights: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.dataset} {self.algorithm} {self.backend} {list(self.w2_weights)}"


class ActorMode(NamedTuple):
    """Whose returns these are."""

    actor: int
    kind: str
    mode: Mode


@dataclass(frozen=True)
class Result:
    """Of one actor in one mode, over the episodes of one evaluation."""

    return_mean: float
    normalized_score: float | None


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a chain. A failed one has no results, and neither has one that was not asked for."""

    update: int
    results: Mapping[ActorMode, Result]
    error: str | None = None


@dataclass(frozen=True)
class Run:
    """One run folder, as far as a report needs it."""

    path: Path
    labels: Labels
    settings: Mapping[str, Any]  # flat, what is set; no labels, and nothing that does not change what is computed
    seed: int
    written: float  # time of summary.json, or of config.json where that is missing
    is_finished: bool
    behaviour: float | None  # mean return of the dataset's own policy; None: unfinished, or no complete episode
    evaluations: Sequence[Evaluation]  # the last one, or all for a curve


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed, one of each."""

    labels: Labels
    settings: Mapping[str, Any]  # those that tell the groups of the same labels apart
    runs: Sequence[Run]


@dataclass(frozen=True)
class Row:
    """One actor in one mode after so many updates. None: unknown, or no spread, as of a single seed."""

    dataset: str
    algorithm: str
    backend: str
    w2_weights: tuple[float, ...]
    settings: Mapping[str, Any]
    actor: int
    kind: str
    mode: Mode
    updates: int
    num_seeds: int
    seeds: tuple[int, ...]
    return_mean: float
    return_std_over_seeds: float | None  # sample standard deviation, with n - 1; return_std elsewhere is over episodes
    normalized_score_mean: float | None
    normalized_score_std_over_seeds: float | None
    behaviour_return_mean: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**dataclasses.asdict(self), "w2_weights": list(self.w2_weights), "seeds": list(self.seeds)}


@dataclass(frozen=True)
class Failure:
    """An evaluation that broke: no score."""

    run: Path
    update: int
    error: str


@dataclass(frozen=True)
class Report:
    """The rows, and the runs that are not in them or not whole."""

    rows: Sequence[Row]
    unfinished: Sequence[Path]  # no summary.json, or one from before the run was extended
    failures: Sequence[Failure]
    unevaluated: Sequence[Path]  # finished, and never evaluated


def make_report(folder: Path, modes: Iterable[Mode] = MODES, *, curve: bool = False) -> Report:
    """Read and table every run in `folder`.

    Args:
        folder: a run's own folder, or any above.
        modes: those to table.
        curve: every evaluation, of unfinished runs too, rather than the last one of finished runs.

    Raises:
        BadInput: no such folder, no run in it, or none that can be read.
    """
    runs = read_runs(folder, curve=curve)
    groups = group_runs([run for run in runs if run.is_finished or curve])
    kept = [run for group in groups for run in group.runs]
    return Report(
        rows=[row for group in groups for row in _rows(group, set(modes))],
        unfinished=[run.path for run in runs if not run.is_finished],
        failures=[
            Failure(run.path, evaluation.update, evaluation.error)
            for run in kept
            for evaluation in run.evaluations
            if evaluation.error is not None
        ],
        unevaluated=[
            run.path
            for run in kept
            if run.is_finished and not any(entry.results or entry.error is not None for entry in run.evaluations)
        ],
    )


def read_runs(folder: Path, *, curve: bool = False) -> list[Run]:
    """Every run in `folder` that can be read, by path; a warning for every other.

    Raises:
        BadInput: no such folder, no run in it, or none that can be read.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder; give one that holds runs, such as runs/.")
    paths = find_runs(folder)
    if not paths:
        raise BadInput(
            f"{folder} holds no runs; a run's folder holds {CONFIG} and, once it is finished, {SUMMARY}: "
            "give one, or a folder above."
        )
    runs = []
    for path in paths:
        try:
            runs.append(_read_run(path, curve))
        except _Unreadable as error:
            logger.warning("%s; the run is left out.", error)
        except OSError as error:
            logger.warning("%s cannot be read: %s; the run is left out.", error.filename, error.strerror)
    if not runs:
        raise BadInput(f"{folder}: no run can be read, of {len(paths)}; the warnings above name the files.")
    return runs


def find_runs(folder: Path) -> list[Path]:
    """Folders that hold a config or a summary, by path; links to folders are not followed."""

    def warn(error: OSError) -> None:
        logger.warning("%s cannot be searched: %s.", error.filename, error.strerror)

    found = []
    for path, folders, files in os.walk(folder, onerror=warn):
        if CONFIG in files or SUMMARY in files:
            found.append(Path(path))
            folders[:] = [name for name in folders if name != "checkpoints"]  # many folders, and never a run
    return sorted(found)


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Put together what differs only in its seed; of two runs with one seed the newest is kept, with a warning."""
    alike: dict[Labels, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        alike[run.labels][json.dumps(run.settings, sort_keys=True)].append(run)
    groups = []
    for labels, members in sorted(alike.items()):
        settings = _differences([runs[0].settings for runs in members.values()])
        siblings = [
            Group(labels, differing, _newest_of_each_seed(runs))
            for differing, runs in zip(settings, members.values(), strict=True)
        ]
        groups += sorted(siblings, key=lambda group: [_order(value) for value in group.settings.values()])
    return groups


def _differences(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is not the same in all; every result has the same keys, in the same order, None for what is not set."""
    keys = sorted({key for each in settings for key in each})
    # As text, for which true is not 1.
    differing = [key for key in keys if len({json.dumps(each.get(key), sort_keys=True) for each in settings}) > 1]
    return [{key: each.get(key) for key in differing} for each in settings]


def _order(value: object) -> tuple[int, float, str]:
    """Numbers by value, before all else."""
    return (0, value, "") if isinstance(value, int | float) else (1, 0.0, json.dumps(value))


def _newest_of_each_seed(runs: Sequence[Run]) -> list[Run]:
    by_seed: dict[int, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.written, run.path)):
        by_seed[run.seed].append(run)
    for seed, (*older, newest) in by_seed.items():
        if older:
            others = ", ".join(str(run.path) for run in older)
            logger.warning(
                "seed %d of %s is there %d times: %s is the newest and kept, %s left out.",
                *(seed, newest.labels, len(older) + 1, newest.path, others),
            )
    return [by_seed[seed][-1] for seed in sorted(by_seed)]


def _rows(group: Group, modes: set[Mode]) -> list[Row]:
    """One row per actor, mode and update, over the seeds that have it."""
    found: dict[tuple[ActorMode, int], list[tuple[int, Result]]] = defaultdict(list)
    for run in group.runs:
        for evaluation in run.evaluations:
            for actor_mode, result in evaluation.results.items():
                if actor_mode.mode in modes:
                    found[actor_mode, evaluation.update].append((run.seed, result))
    behaviour = _behaviour(group)
    rows = []
    for (actor_mode, update), results in sorted(found.items()):
        returns = [result.return_mean for _, result in results]
        scores = [result.normalized_score for _, result in results if result.normalized_score is not None]
        if len(scores) < len(returns):  # a mean over fewer seeds than the row says would mislead
            scores = []
        rows.append(
            Row(
                *group.labels,
                group.settings,
                *actor_mode,
                updates=update,
                num_seeds=len(results),
                seeds=tuple(seed for seed, _ in results),
                return_mean=fmean(returns),
                return_std_over_seeds=_std(returns),
                normalized_score_mean=fmean(scores) if scores else None,
                normalized_score_std_over_seeds=_std(scores),
                behaviour_return_mean=behaviour,
            )
        )
    return rows


def _std(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def _behaviour(group: Group) -> float | None:
    """The dataset's own mean return; unknown, with a warning, where equal settings hide different data."""
    found = [run.behaviour for run in group.runs if run.behaviour is not None]
    if any(not math.isclose(value, found[0], rel_tol=_SAME_DATA) for value in found):
        logger.warning(
            "the runs of %s had different data: behaviour returns from %g to %g.", group.labels, min(found), max(found)
        )
        return None
    return found[0] if found else None


class _Unreadable(Exception):  # noqa: N818
    """A run's file is not what pogo writes: names the file, and what is wrong."""


class _Document:
    """A JSON document, each entry checked as it is read."""

    def __init__(self, name: str, content: Any) -> None:
        self.name = name
        self.content = content

    @classmethod
    def read(cls, path: Path) -> "_Document":
        """Of a file."""
        return cls.parse(str(path), path.read_bytes())

    @classmethod
    def parse(cls, name: str, data: bytes) -> "_Document":
        """Of its text."""
        try:
            return cls(name, json.loads(data))
        except (ValueError, RecursionError) as error:
            raise _Unreadable(f"{name} is not valid JSON: {error}") from error

    def get(self, kind: type[T], *keys: str) -> T:
        """The entry at `keys`, one inside the other, which must be of this type; a whole number is a number too."""
        return _checked(self._find(keys), kind, f"{self.name}: {'.'.join(keys)}")

    def get_or_none(self, kind: type[T], *keys: str) -> T | None:
        """As `get`, or null; a missing entry is refused all the same."""
        return None if self._find(keys) is None else self.get(kind, *keys)

    def items(self, kind: type[T], *keys: str) -> list[T]:
        """The entries of the list at `keys`, all of this type."""
        name = f"{self.name}: {'.'.join(keys)}"
        return [_checked(item, kind, f"{name}[{index}]") for index, item in enumerate(self.get(list, *keys))]

    def _find(self, keys: Sequence[str]) -> Any:
        value = self.content
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                raise _Unreadable(f"{self.name} has no {'.'.join(keys)}")
            value = value[key]
        return value


def _checked(value: Any, kind: type[T], where: str) -> T:
    if kind is float and type(value) is int:
        with contextlib.suppress(OverflowError):  # it stays what it is, and is refused
            value = float(value)
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise _Unreadable(f"{where} is {value!r:.60}, not {_TYPE_NAMES[kind]}")
    return value


def _read_run(path: Path, curve: bool) -> Run:
    config = _Document.read(path / CONFIG)
    labels, seed, updates = _labels(config), config.get(int, "seed"), config.get(int, "train", "updates")
    last, behaviour, written = None, None, path / CONFIG
    summary = _Document.read(path / SUMMARY) if (path / SUMMARY).exists() else None
    # A run that is extended goes on beside the summary of its shorter self.
    if summary is not None and summary.get(int, "updates") >= updates:
        labels = _same_run(summary, labels, seed)
        last = _evaluation(summary, summary.get(int, "updates"), "evaluation_failed")
        behaviour = summary.get_or_none(float, "behaviour", "return_mean")
        written = path / SUMMARY
    evaluations = _curve(path / EVALUATION, is_finished=last is not None) if curve else [last] if last else []
    return Run(
        path=path,
        labels=labels,
        settings=_settings(config),
        seed=seed,
        written=written.stat().st_mtime,
        is_finished=last is not None,
        behaviour=behaviour,
        evaluations=evaluations,
    )


def _labels(config: _Document) -> Labels:
    dataset = DatasetConfig(config.get(str, "dataset", "name"), config.get_or_none(str, "dataset", "path"))
    try:
        name = dataset_name(dataset)
    except BadInput as error:
        raise _Unreadable(f"{config.name}: {str(error).rstrip('.')}") from error
    return Labels(
        dataset=name,
        algorithm=config.get(str, "algorithm", "name"),
        backend=config.get(str, "backend", "name"),
        w2_weights=tuple(config.items(float, "chain", "w2_weights")),
    )


def _same_run(summary: _Document, labels: Labels, seed: int) -> Labels:
    """The labels with the dataset's name as the run had it, if the summary is of the config's run."""
    found = (summary.get(str, "algorithm"), summary.get(str, "backend"), summary.get(int, "seed"))
    expected = (labels.algorithm, labels.backend, seed)
    if found != expected:
        raise _Unreadable(f"{summary.name} is of another run than {CONFIG}: {found}, not {expected}")
    return labels._replace(dataset=summary.get(str, "dataset"))


def _settings(config: _Document) -> dict[str, Any]:
    """What is set, by its full name. What an older pogo had no setting for counts as not set."""
    flat: dict[str, Any] = {}
    for section, value in config.content.items():
        if section in _SETTINGS - _FREE_SECTIONS:
            entries = value.items() if isinstance(value, dict) else [("", value)]
            flat |= {f"{section}.{key}".rstrip("."): entry for key, entry in entries}
    return {key: value for key, value in flat.items() if value is not None and key not in _FREE_KEYS | _LABEL_KEYS}


def _evaluation(document: _Document, update: int, failed: str) -> Evaluation:
    """Of an evaluation's line or a summary, which name a failure differently."""
    error = document.get_or_none(str, failed) if failed in document.content else None
    if error is not None:
        return Evaluation(update, {}, " ".join(error.split()))  # a message may have lines
    results = {}
    for position, content in enumerate(document.items(dict, "actors")):
        actor = _Document(f"{document.name}: actors[{position}]", content)
        index, kind = actor.get(int, "index"), actor.get(str, "kind")
        for mode in MODES:
            if actor.get_or_none(dict, mode) is not None:
                results[ActorMode(index, kind, mode)] = Result(
                    actor.get(float, mode, "return_mean"), actor.get_or_none(float, mode, "normalized_score")
                )
    return Evaluation(update, results)


def _curve(path: Path, is_finished: bool) -> list[Evaluation]:
    """Every evaluation of a run, by update."""
    if not is_finished and not path.exists():  # it has just begun
        return []
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:  # a process was killed as it wrote, or is writing
        logger.warning("%s: its last line is cut short and left out.", path)
    documents = [_Document.parse(f"{path}:{number}", line) for number, line in enumerate(lines, 1)]
    found = {document.get(int, UPDATE): document for document in documents}
    return [_evaluation(found[update], update, "failed") for update in sorted(found)]
