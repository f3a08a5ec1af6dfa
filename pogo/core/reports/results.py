"""What run folders say of themselves: their settings and results, read defensively.

Runs are found by their files, wherever they lie. One that cannot be read costs one warning.
"""

import contextlib
import json
import logging
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pogo.core.config.clock import ENV_STEPS, UPDATES, Clock
from pogo.core.config.schema import SOURCES, meaning, settings_of_old, shared_settings
from pogo.core.data.config import ONLINE, DatasetConfig, dataset_name
from pogo.core.data.scores import normalized_score
from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import CHECKPOINTS
from pogo.core.files.logs import EVALUATION, TRAIN, last_line
from pogo.core.files.summary import CONFIG, FAILED, SUMMARY
from pogo.core.learner.interface import MODES, Mode
from pogo.core.online.empty_dataset import environment_name
from pogo.core.setting import Values

T = TypeVar("T")
# What else config.json may hold (where a setting came from, what was asked for) is no setting.
_SETTINGS = {"algorithm", *(key.partition(".")[0] for key in shared_settings())}
_TYPE_NAMES = {str: "text", int: "a whole number", float: "a finite number", list: "a list", dict: "a mapping"}
# Sources of settings, as config.json names them.
_OF_DATASET = re.compile(r"conf/(dataset|published|algorithm_dataset)/")
_TOLD = re.compile(r"(?!default|as |conf/(algorithm|dataset|published|algorithm_dataset|backend)/)")
logger = logging.getLogger("pogo")


class Labels(NamedTuple):
    """What every table says of a group of runs, in the order of its rows."""

    dataset: str
    algorithm: str
    backend: str
    w2_weights: tuple[float, ...]
    steps: tuple[float, ...]

    def __str__(self) -> str:
        chain = f"steps {list(self.steps)}" if self.steps else str(list(self.w2_weights))
        return f"{self.dataset} {self.algorithm} {self.backend} {chain}"


class ActorMode(NamedTuple):
    """Whose returns these are."""

    actor: int
    kind: str
    mode: Mode


@dataclass(frozen=True)
class Result:
    """What the episodes of one evaluation gave for one actor in one mode."""

    return_mean: float
    normalized_score: float | None
    returns: tuple[float, ...] = ()  # of the episodes, undiscounted; () of a pogo that kept none
    lengths: tuple[int, ...] = ()  # of the episodes, in steps


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a chain. What failed has no result, and neither has one that was not asked for."""

    count: int  # of updates or environment steps, as the run's clock says
    results: Mapping[ActorMode, Result]
    error: str | None = None
    wall_seconds: float | None = None  # since the run began, pauses between its processes left out
    measures: Mapping[int, Mapping[str, float]] = field(default_factory=dict)  # by actor; see `Learner.describe`


@dataclass(frozen=True)
class Logged:
    """One line of train.jsonl."""

    count: int  # of updates or environment steps, as the run's clock says
    metrics: Mapping[str, float]  # without those that were not finite, which stand as null in the file

    @property
    def wall_seconds(self) -> float | None:
        """Seconds since the run began, pauses between its processes left out; None: of a pogo that wrote none."""
        return self.metrics.get("wall_seconds")


@dataclass(frozen=True)
class Run:
    """One run folder, as far as a report needs it."""

    path: Path
    labels: Labels
    settings: Values  # flat, what is set; no labels, and nothing that does not change what is computed
    seed: int
    clock: Clock
    length: int  # that it is to have, by that clock
    written: float  # time of summary.json, or of config.json where that is missing
    is_finished: bool
    behaviour: float | None  # mean return of the dataset's own policy; None: unfinished, or no complete episode
    evaluations: Sequence[Evaluation]  # the last one, or all for a curve
    reference_returns: tuple[float, float] | None = None  # those that score 0 and 100; None: unknown, or none
    failed: str | None = None  # why the run ended before its time, in one line
    told: frozenset[str] = frozenset()  # the settings that its command gave, by options or an experiment
    of_dataset: frozenset[str] = frozenset()  # those that its dataset brings, as published for it
    log_every: int | None = None  # updates, or environment steps, between two lines of its log

    def score(self, value: float) -> float | None:
        """The normalised score of a return; None without reference returns."""
        return normalized_score(value, self.reference_returns)


def read_runs(
    folders: Path | Sequence[Path], *, curve: bool = False, watched: Callable[[list[Path]], Iterable[Path]] = iter
) -> list[Run]:
    """Every run below some folders that can be read, by path; a warning for every other.

    Args:
        folders: one, or several; a run that lies below two of them is read once.
        curve: all evaluations of a run, rather than the last.
        watched: is given what there is to read and gives it back one by one, as a progress bar does.

    Raises:
        BadInput: no such folder, no run in it, or none that can be read.
    """
    folders = [folders] if isinstance(folders, Path) else folders
    paths: dict[Path, Path] = {}
    for folder in folders:
        found = find_runs(folder)
        if not found:
            raise BadInput(
                f"{folder} holds no runs; a run's folder holds {CONFIG} and, once it is finished, {SUMMARY}: "
                "give one, or a folder above."
            )
        for path in found:
            paths.setdefault(path.resolve(), path)
    runs = []
    for path in watched(sorted(paths.values())):
        try:
            runs.append(read_run(path, curve=curve))
        except Unreadable as error:
            logger.warning("%s; the run is left out.", error)
        except OSError as error:
            logger.warning("%s cannot be read: %s; the run is left out.", error.filename, error.strerror)
    if not runs:
        named = ", ".join(map(str, folders))
        raise BadInput(f"{named}: no run can be read, of {len(paths)}; the warnings above name the files.")
    return runs


def find_runs(folder: Path) -> list[Path]:
    """Folders that hold a config or a summary, by path; links to folders are not followed.

    Raises:
        BadInput: no such folder.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is no folder; give one that holds runs, such as runs/.")

    def warn(error: OSError) -> None:
        logger.warning("%s cannot be searched: %s.", error.filename, error.strerror)

    found = []
    for path, folders, files in os.walk(folder, onerror=warn):
        if CONFIG in files or SUMMARY in files:
            found.append(Path(path))
            folders[:] = [name for name in folders if name != CHECKPOINTS]  # many folders, and never a run
    return sorted(found)


class Unreadable(Exception):
    """A run's file is not what pogo writes: names the file, and what is wrong."""


class _Document:
    """A JSON document, each entry checked as it is read."""

    def __init__(self, name: str, content: Any) -> None:
        self.name = name
        self.content = content

    @classmethod
    def read(cls, path: Path) -> "_Document":
        """The document that a JSON file holds."""
        return cls.parse(str(path), path.read_bytes())

    @classmethod
    def parse(cls, name: str, data: bytes) -> "_Document":
        """The document that a JSON text holds."""
        try:
            return cls(name, json.loads(data))
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"{name} is not valid JSON: {error}") from error

    def get(self, kind: type[T], *keys: str) -> T:
        """The entry at `keys`, one inside the other, which must be of this type; a whole number is a number too."""
        return _checked(self._find(keys), kind, f"{self.name}: {'.'.join(keys)}")

    def get_or_none(self, kind: type[T], *keys: str) -> T | None:
        """The entry that `get` gives, or null where the file says null; a missing one is refused all the same."""
        return None if self._find(keys) is None else self.get(kind, *keys)

    def optional(self, kind: type[T], *keys: str) -> T | None:
        """The entry that `get` gives; None where the file says null, or has no such entry."""
        try:
            value = self._find(keys)
        except Unreadable:
            return None
        return None if value is None else self.get(kind, *keys)

    def optional_items(self, kind: type[T], *keys: str) -> tuple[T, ...]:
        """The entries of a list that `items` gives; none where there is no such list."""
        values = self.optional(list, *keys)
        if values is None:
            return ()
        if set(map(type, values)) == {kind} and math.isfinite(sum(values)):  # thousands of episodes, seldom wrong
            return tuple(values)
        return tuple(self.items(kind, *keys))

    def items(self, kind: type[T], *keys: str) -> list[T]:
        """The entries of the list at `keys`, all of this type."""
        name = f"{self.name}: {'.'.join(keys)}"
        return [_checked(item, kind, f"{name}[{index}]") for index, item in enumerate(self.get(list, *keys))]

    def _find(self, keys: Sequence[str]) -> Any:
        value = self.content
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                raise Unreadable(f"{self.name} has no {'.'.join(keys)}")
            value = value[key]
        return value


def _checked(value: Any, kind: type[T], where: str) -> T:
    if kind is float and type(value) is int:
        with contextlib.suppress(OverflowError):  # it stays what it is, and is refused
            value = float(value)
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise Unreadable(f"{where} is {value!r:.60}, not {_TYPE_NAMES[kind]}")
    return value


def read_run(path: Path, *, curve: bool = False) -> Run:
    """The run in this folder; `curve`: with every evaluation rather than the last one of a finished run.

    Raises:
        Unreadable, OSError: a file of it is damaged, missing, or cannot be read.
    """
    config = _Document.read(path / CONFIG)
    labels, seed = _labels(config), config.get(int, "seed")
    clock = ENV_STEPS if config.get(str, "dataset", "name") == ONLINE else UPDATES
    length = config.get(int, "train", clock.units)
    summary = _Document.read(path / SUMMARY) if (path / SUMMARY).exists() else None
    failed = None if summary is None else summary.optional(str, FAILED)
    last = None
    # A run that is extended goes on beside the summary of its shorter self; one that has failed is not finished.
    if summary is not None and failed is None and _length(summary, clock) >= length:
        labels = _same_run(summary, labels, seed)
        last = _evaluation(summary, _length(summary, clock), "evaluation_failed")
    else:
        summary = None
    evaluations = (
        read_curve(path / EVALUATION, clock, is_finished=last is not None) if curve else [last] if last else []
    )
    return Run(
        path=path,
        labels=labels,
        settings=_settings(config),
        told=_from(config, _TOLD),
        of_dataset=_from(config, _OF_DATASET),
        seed=seed,
        clock=clock,
        length=length,
        written=(path / (CONFIG if summary is None else SUMMARY)).stat().st_mtime,
        is_finished=last is not None,
        behaviour=None if summary is None else summary.get_or_none(float, "behaviour", "return_mean"),
        evaluations=evaluations,
        reference_returns=_reference_returns(summary, evaluations),
        failed=None if failed is None else _in_one_line(failed),
        log_every=config.optional(int, "log", "every"),
    )


def _length(summary: _Document, clock: Clock) -> int:
    return summary.get(int, clock.units)


def _reference_returns(summary: _Document | None, evaluations: Sequence[Evaluation]) -> tuple[float, float] | None:
    """The returns that score 0 and 100: as the summary says, or, of a pogo that did not, by two results."""
    if summary is not None and (found := summary.optional_items(float, "reference_returns")):
        return found[0], found[-1]
    results = [result for evaluation in evaluations for result in evaluation.results.values()]
    scored = [
        (result.return_mean, result.normalized_score) for result in results if result.normalized_score is not None
    ]
    if not scored:
        return None
    (low, least), (high, most) = min(scored), max(scored)
    if most == least:
        return None
    per_score = (high - low) / (most - least)
    return low - least * per_score, low + (100.0 - least) * per_score


def _labels(config: _Document) -> Labels:
    dataset = DatasetConfig(config.get(str, "dataset", "name"), config.get_or_none(str, "dataset", "path"))
    try:
        name = dataset_name(dataset)
    except BadInput as error:
        raise Unreadable(f"{config.name}: {str(error).rstrip('.')}") from error
    if name == ONLINE and (env := config.get_or_none(str, "env")) is not None:
        name = environment_name(env)
    return Labels(
        dataset=name,
        algorithm=config.get(str, "algorithm", "name"),
        backend=config.get(str, "backend", "name"),
        w2_weights=tuple(config.items(float, "chain", "w2_weights")),
        steps=tuple(config.items(float, "chain", "steps")) if "steps" in config.get(dict, "chain") else (),
    )


def _same_run(summary: _Document, labels: Labels, seed: int) -> Labels:
    """The labels with the dataset's name as the run had it, if the summary is of the config's run."""
    found = (summary.get(str, "algorithm"), summary.get(str, "backend"), summary.get(int, "seed"))
    expected = (labels.algorithm, labels.backend, seed)
    if found != expected:
        raise Unreadable(f"{summary.name} is of another run than {CONFIG}: {found}, not {expected}")
    return labels._replace(dataset=summary.get(str, "dataset"))


def _settings(config: _Document) -> dict[str, Any]:
    """What is set, by its full name. What an older pogo had no setting for is as it is by default."""
    flat: dict[str, Any] = dict(settings_of_old())
    for section, value in config.content.items():
        if section in _SETTINGS:
            entries = value.items() if isinstance(value, dict) else [("", value)]
            flat |= {f"{section}.{key}".rstrip("."): entry for key, entry in entries}
    return {key: value for key, value in flat.items() if value is not None and _tells_apart(key)}


def _from(config: _Document, source: re.Pattern[str]) -> frozenset[str]:
    """The settings whose source is such; a pogo that did not say sources was told them all."""
    sources = config.optional(dict, SOURCES)
    if sources is None:
        return frozenset(_settings(config)) if source is _TOLD else frozenset()
    return frozenset(key for key, name in sources.items() if source.match(str(name)))


def _tells_apart(key: str) -> bool:
    """Whether runs with other values of a setting are told apart by it, not by the labels of their row."""
    return meaning(key).identity and not meaning(key).label


def _evaluation(document: _Document, count: int, failure: str) -> Evaluation:
    """The evaluation that a line of evaluation.jsonl or a summary holds; the two name a failure differently."""
    error = document.get_or_none(str, failure) if failure in document.content else None
    if error is not None:
        return Evaluation(count, {}, _in_one_line(error))
    results, errors = {}, []
    for position, content in enumerate(document.items(dict, "actors")):
        actor = _Document(f"{document.name}: actors[{position}]", content)
        index, kind = actor.get(int, "index"), actor.get(str, "kind")
        failed = actor.get(dict, "failed") if "failed" in content else {}
        for mode in MODES:
            if mode in failed:
                errors.append(_in_one_line(actor.get(str, "failed", mode)))
            if actor.get_or_none(dict, mode) is None:
                continue
            if _is_not_finite(actor.get(dict, mode)):
                errors.append(f"actor {index} ({kind}), {mode}: its return is not finite")
            else:
                results[ActorMode(index, kind, mode)] = Result(
                    actor.get(float, mode, "return_mean"),
                    actor.get_or_none(float, mode, "normalized_score"),
                    actor.optional_items(float, mode, "returns"),
                    actor.optional_items(int, mode, "lengths"),
                )
    wall_seconds = document.optional(float, "wall_seconds")
    return Evaluation(count, results, "; ".join(errors) or None, wall_seconds, _measures(document))


def _measures(document: _Document) -> dict[int, dict[str, float]]:
    """What the actors were measured by; nothing, of a pogo that did not."""
    if "measures" not in document.content:
        return {}
    found = {}
    for actor in document.get(dict, "measures"):
        if not actor.isdecimal():
            raise Unreadable(f"{document.name}: measures has {actor!r:.60}, which is no actor's number")
        names = document.get(dict, "measures", actor)
        found[int(actor)] = {name: document.get(float, "measures", actor, name) for name in names}
    return found


def _in_one_line(message: str) -> str:
    return " ".join(message.split()).rstrip(".")


def _is_not_finite(result: Values) -> bool:
    """Whether a mean is null for a return that is: NaN and infinity, which JSON has not, once passed for returns."""
    returns = result.get("returns")
    return result.get("return_mean", 0.0) is None and isinstance(returns, list) and None in returns


def read_curve(path: Path, clock: Clock, is_finished: bool) -> list[Evaluation]:
    """Every evaluation in a log, in order; where the run is finished the log must be there."""
    found = {document.get(int, clock.unit): document for document in _documents(path, is_finished)}
    return [_evaluation(found[count], count, "failed") for count in sorted(found)]


def read_training(run: Run) -> list[Logged]:
    """Every line of a run's train.jsonl, in order; where the run is finished the log must be there.

    Raises:
        Unreadable: a line is not what pogo writes; names it.
        OSError: the file cannot be read.
    """
    found = {document.get(int, run.clock.unit): document for document in _documents(run.path / TRAIN, run.is_finished)}
    return [Logged(count, _metrics(found[count], run.clock)) for count in sorted(found)]


def _metrics(document: _Document, clock: Clock) -> dict[str, float]:
    return {
        name: document.get(float, name)
        for name, value in document.content.items()
        if name != clock.unit and value is not None
    }


def _documents(path: Path, is_finished: bool) -> list[_Document]:
    """The lines of a log; a last one that is cut short is left out, with a warning."""
    if not is_finished and not path.exists():  # it has just begun
        return []
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:  # a process was killed as it wrote, or is writing
        logger.warning("%s: its last line is cut short and left out.", path)
    return [_Document.parse(f"{path}:{number}", line) for number, line in enumerate(lines, 1)]


def read_last_evaluation(path: Path, clock: Clock) -> Evaluation | None:
    """The evaluation that a log ends with, from the end of the file alone; None of an empty or missing log.

    Raises:
        Unreadable, OSError: its last line is not what pogo writes, or the file cannot be read.
    """
    if (line := last_line(path)) is None:
        return None
    document = _Document.parse(f"{path}: its last line", line)
    return _evaluation(document, document.get(int, clock.unit), "failed")


def read_last_metrics(path: Path, clock: Clock) -> tuple[int, Values] | None:
    """How far the run was at the last line of a log of training, and that line; None of an empty or missing log.

    Raises:
        Unreadable, OSError: its last line is not what pogo writes, or the file cannot be read.
    """
    if (line := last_line(path)) is None:
        return None
    document = _Document.parse(f"{path}: its last line", line)
    return document.get(int, clock.unit), document.content
