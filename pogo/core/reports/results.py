"""What run folders say of themselves: their settings and results, read defensively.

Runs are found by their files, wherever they lie. One that cannot be read costs one warning.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pogo.core.config.clock import ENV_STEPS, UPDATES, Clock
from pogo.core.config.schema import SOURCES, meaning, settings_of_old, shared_settings
from pogo.core.data.config import ONLINE, DatasetConfig, dataset_name
from pogo.core.data.scores import normalized_score
from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import CHECKPOINTS
from pogo.core.files.logs import EVALUATION
from pogo.core.files.summary import CONFIG, FAILED, SUMMARY
from pogo.core.online.empty_dataset import environment_name
from pogo.core.reports.documents import Document, Unreadable, in_one_line
from pogo.core.reports.evaluations import Evaluation, evaluation_of, read_curve
from pogo.core.setting import Values

# What else config.json may hold (where a setting came from, what was asked for) is no setting.
_SETTINGS = {"algorithm", *(key.partition(".")[0] for key in shared_settings())}
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


def read_run(path: Path, *, curve: bool = False) -> Run:
    """The run in this folder; `curve`: with every evaluation rather than the last one of a finished run.

    Raises:
        Unreadable, OSError: a file of it is damaged, missing, or cannot be read.
    """
    config = Document.read(path / CONFIG)
    labels, seed = _labels(config), config.get(int, "seed")
    clock = ENV_STEPS if config.get(str, "dataset", "name") == ONLINE else UPDATES
    length = config.get(int, "train", clock.units)
    summary = Document.read(path / SUMMARY) if (path / SUMMARY).exists() else None
    failed = None if summary is None else summary.optional(str, FAILED)
    last = None
    # A run that is extended goes on beside the summary of its shorter self; one that has failed is not finished.
    if summary is not None and failed is None and _length(summary, clock) >= length:
        labels = _same_run(summary, labels, seed)
        last = evaluation_of(summary, _length(summary, clock), "evaluation_failed")
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
        failed=None if failed is None else in_one_line(failed),
        log_every=config.optional(int, "log", "every"),
    )


def _length(summary: Document, clock: Clock) -> int:
    return summary.get(int, clock.units)


def _reference_returns(summary: Document | None, evaluations: Sequence[Evaluation]) -> tuple[float, float] | None:
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


def _labels(config: Document) -> Labels:
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


def _same_run(summary: Document, labels: Labels, seed: int) -> Labels:
    """The labels with the dataset's name as the run had it, if the summary is of the config's run."""
    found = (summary.get(str, "algorithm"), summary.get(str, "backend"), summary.get(int, "seed"))
    expected = (labels.algorithm, labels.backend, seed)
    if found != expected:
        raise Unreadable(f"{summary.name} is of another run than {CONFIG}: {found}, not {expected}")
    return labels._replace(dataset=summary.get(str, "dataset"))


def _settings(config: Document) -> dict[str, Any]:
    """What is set, by its full name. What an older pogo had no setting for is as it is by default."""
    flat: dict[str, Any] = dict(settings_of_old())
    for section, value in config.content.items():
        if section in _SETTINGS:
            entries = value.items() if isinstance(value, dict) else [("", value)]
            flat |= {f"{section}.{key}".rstrip("."): entry for key, entry in entries}
    return {key: value for key, value in flat.items() if value is not None and _tells_apart(key)}


def _from(config: Document, source: re.Pattern[str]) -> frozenset[str]:
    """The settings whose source is such; a pogo that did not say sources was told them all."""
    sources = config.optional(dict, SOURCES)
    if sources is None:
        return frozenset(_settings(config)) if source is _TOLD else frozenset()
    return frozenset(key for key, name in sources.items() if source.match(str(name)))


def _tells_apart(key: str) -> bool:
    """Whether runs with other values of a setting are told apart by it, not by the labels of their row."""
    return meaning(key).identity and not meaning(key).label
