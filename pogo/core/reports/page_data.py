"""What the HTML report says of the runs in a folder, as one JSON document. `page.py` makes the page of it."""

import contextlib
import json
import logging
import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from pogo import __version__
from pogo.core.config.provenance import DEFAULT, published_default
from pogo.core.config.schema import SOURCES
from pogo.core.files.checkpoint import CHECKPOINTS, RECORDS
from pogo.core.files.documents import JSON
from pogo.core.files.logs import EVALUATION
from pogo.core.files.summary import CONFIG, SUMMARY
from pogo.core.reports.documents import Unreadable
from pogo.core.reports.evaluations import ActorMode, Evaluation, Result, read_curve
from pogo.core.reports.groups import Group, group_runs
from pogo.core.reports.live import RunState, Watch
from pogo.core.reports.results import Run
from pogo.core.reports.rows import MEASURES, measured_actors
from pogo.core.reports.statistics import DEFAULT as RESAMPLING
from pogo.core.reports.statistics import FEW_SEEDS, estimate
from pogo.core.setting import Values

_NO_SETTINGS = {SOURCES, "machine", "command", "pogo"}  # what config.json says besides
_DIGITS = 6  # of a number in a figure
logger = logging.getLogger("pogo")


@dataclass(frozen=True)
class PageData:
    """The document, the files that it names, and what was wrong with the runs."""

    document: dict[str, JSON]
    videos: Mapping[str, Path]  # by the name beside the page
    warnings: Sequence[str]


def page_data(folder: Path, watch: Watch, reload_seconds: float | None, excluded: Path) -> PageData:
    """What a page says.

    Args:
        folder: where the runs are; they are named by their paths in it.
        watch: the runs, and how far they are.
        reload_seconds: after which the page loads itself anew; None: never.
        excluded: a folder whose videos are no run's: the page's own.
    """
    states, runs = watch.states, [state.run for state in watch.states]
    finished = [run for run in runs if run.is_finished]
    with _warnings() as warnings:
        groups = group_runs(finished)
    # Unfinished runs are drawn too. Which of two runs of a seed is the newer one matters to the results alone.
    with _warnings():
        named = group_runs(runs)
    numbers = {_identity(group.runs[0]): number for number, group in enumerate(named)}
    shared, videos = _Shared(), {}
    entries: list[JSON] = []
    for state in states:
        found = _videos(state.run.path, folder, excluded)
        videos |= found
        entry = _entry(state, folder, shared, warnings) | {
            "group": numbers[_identity(state.run)],
            "videos": list(found),
        }
        entries.append(entry)
    positions = {run.path: position for position, run in enumerate(runs)}
    document: dict[str, JSON] = {
        "folder": str(folder),
        "made": watch.time,
        "pogo": __version__,
        "reload": reload_seconds,
        "level": RESAMPLING.level,
        "few_seeds": FEW_SEEDS,
        "measures": MEASURES,
        "groups": [_group(group) for group in named],
        "results": [
            row for group in groups for row in _results(group, numbers[_identity(group.runs[0])], positions)
        ],
        "chain": [
            {"group": numbers[_identity(group.runs[0])], "actor": actor.actor, "at": actor.count,
             "seeds": actor.num_seeds, "measures": dict(actor.measures)}
            for group in groups for actor in measured_actors(group)
        ],
        "runs": entries,
        "settings": shared.settings,
        "facts": shared.facts,
        "warnings": [*watch.unreadable, *warnings],
    }  # fmt: skip
    return PageData(document, videos, [*watch.unreadable, *warnings])


class _Shared:
    """What many runs say alike, stored once: a run names its entries by their numbers."""

    def __init__(self) -> None:
        self.settings: list[JSON] = []  # name, value, source
        self.facts: list[JSON] = []  # name, value
        self._numbers: dict[tuple[str | None, ...], int] = {}

    def setting(self, name: str, value: str, source: str | None) -> int:
        """The number of a setting."""
        return self._number(self.settings, name, value, source)

    def fact(self, name: str, value: str) -> int:
        """The number of a fact."""
        return self._number(self.facts, name, value)

    def _number(self, entries: list[JSON], *entry: str | None) -> int:
        if entry not in self._numbers:  # of another length in either list
            self._numbers[entry] = len(entries)
            entries.append(list(entry))
        return self._numbers[entry]


@contextlib.contextmanager
def _warnings() -> Iterator[list[str]]:
    """What pogo warns of inside, kept from its log: it stands on the page."""
    kept: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        kept.append(record.getMessage())
        return False

    logger.addFilter(keep)
    try:
        yield kept
    finally:
        logger.removeFilter(keep)


def _identity(run: Run) -> tuple[object, str]:
    """What all runs of a group have in common."""
    return run.labels, json.dumps(run.settings, sort_keys=True)


def _group(group: Group) -> JSON:
    chain = list(group.labels.steps or group.labels.w2_weights)
    return {
        "dataset": group.labels.dataset,
        "algorithm": group.labels.algorithm,
        "backend": group.labels.backend,
        "chain": f"{'steps ' if group.labels.steps else ''}[{', '.join(f'{value:g}' for value in chain)}]",
        "settings": " ".join(f"{name}={_text(value)}" for name, value in group.settings.items()),
    }


def _results(group: Group, number: int, positions: Mapping[Path, int]) -> list[JSON]:
    """A row per actor and mode, over the seeds that have it."""
    found: dict[ActorMode, list[tuple[Run, Result]]] = {}
    for run in group.runs:
        for evaluation in run.evaluations:
            for actor_mode, result in evaluation.results.items():
                found.setdefault(actor_mode, []).append((run, result))
    behaviours = [run.behaviour for run in group.runs if run.behaviour is not None]
    rows: list[JSON] = []
    for (actor, kind, mode), results in sorted(found.items(), key=lambda item: item[0]):
        scores = [result.normalized_score for _, result in results if result.normalized_score is not None]
        rows.append(
            {
                "group": number,
                "actor": actor,
                "kind": kind,
                "mode": mode,
                "at": results[0][0].evaluations[-1].count,
                "clock": results[0][0].clock.units.replace("_", " "),
                "return": _interval([result.return_mean for _, result in results]),
                # A mean over fewer seeds than the row says would mislead.
                "score": _interval(scores) if len(scores) == len(results) else None,
                "behaviour": fmean(behaviours) if behaviours else None,
                "runs": [[positions[run.path], result.return_mean, result.normalized_score] for run, result in results],
            }
        )
    return rows


def _interval(values: Sequence[float]) -> list[JSON]:
    return list(estimate([values], "mean"))


def _entry(state: RunState, folder: Path, shared: _Shared, warnings: list[str]) -> dict[str, JSON]:
    run = state.run
    try:
        evaluations: Sequence[Evaluation] = read_curve(run.path / EVALUATION, run.clock, is_finished=False)
    except (Unreadable, OSError) as error:
        warnings.append(f"{error}; the run's curve is left out.")
        evaluations = run.evaluations
    config, summary = _document(run.path / CONFIG), _document(run.path / SUMMARY)
    last = run.evaluations[-1] if run.evaluations else evaluations[-1] if evaluations else None
    return {
        "path": _relative(run.path, folder),
        "seed": run.seed,
        "status": state.status,
        "note": state.note,
        "position": state.position,
        "length": run.length,
        "clock": run.clock.units.replace("_", " "),
        "per_second": state.per_second,
        "left": state.seconds_left,
        "last_sign": state.last_sign,
        "host": state.host,
        "behaviour": run.behaviour,
        "wall": _wall_seconds(summary, evaluations),
        "settings": _settings(config, shared),
        "has_sources": isinstance(config.get(SOURCES), dict),
        "facts": [shared.fact(name, value) for name, value in _facts(run, config, summary)],
        "command": _command(config.get("command")),
        "failures": [[entry.count, entry.error] for entry in evaluations if entry.error is not None],
        "at": [entry.count for entry in evaluations],
        "wall_at": _rounded([entry.wall_seconds for entry in evaluations]),
        "curves": _curves(evaluations),
        "measured": {} if last is None else {str(index): dict(found) for index, found in last.measures.items()},
        "last": [] if last is None else [
            [actor, mode, result.return_mean, result.normalized_score]
            for (actor, _, mode), result in sorted(last.results.items())
        ],
    }  # fmt: skip


def _curves(evaluations: Sequence[Evaluation]) -> list[JSON]:
    """Returns and scores of each actor and mode; null at an evaluation that has none."""
    keys = sorted({key for evaluation in evaluations for key in evaluation.results})
    curves: list[JSON] = []
    for key in keys:
        results = [evaluation.results.get(key) for evaluation in evaluations]
        curves.append(
            {
                "actor": key.actor,
                "mode": key.mode,
                "return": _rounded([None if found is None else found.return_mean for found in results]),
                "score": _rounded([None if found is None else found.normalized_score for found in results]),
            }
        )
    return curves


def _rounded(values: Sequence[float | None]) -> list[JSON]:
    return [None if value is None else float(f"{value:.{_DIGITS}g}") for value in values]


def _settings(config: Values, shared: _Shared) -> list[JSON]:
    """The numbers of a run's settings: two lists, those that something other than a default has set, and the rest."""
    found = config.get(SOURCES)
    sources = found if isinstance(found, dict) else {}
    algorithm = config.get("algorithm")
    published = published_default(algorithm.get("name", "") if isinstance(algorithm, dict) else "")
    given: list[JSON] = []
    rest: list[JSON] = []
    for name, value in _flat({key: value for key, value in config.items() if key not in _NO_SETTINGS}):
        source = sources.get(name)
        number = shared.setting(name, _text(value), source if isinstance(source, str) else None)
        (rest if source in (DEFAULT, published, None) else given).append(number)
    return [given, rest]


def _flat(values: Values, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _facts(run: Run, config: Values, summary: Values) -> Iterator[tuple[str, str]]:
    """What a run says of the machine and the programs that made it."""
    recorded = {} if "versions" in summary else _checkpoint_record(run.path)
    machine = config.get("machine")
    known = {**(machine if isinstance(machine, dict) else {}), "threads": config.get("threads"), **summary}
    for name in ("device", "device_name", "threads", "environment"):
        if known.get(name) is not None:
            yield name.replace("_", " "), _text(known[name])
    if isinstance(pogo := config.get("pogo"), dict):
        yield from ((f"pogo {name}", _text(value)) for name, value in pogo.items() if value is not None)
    versions = summary.get("versions", recorded.get("versions"))
    if isinstance(versions, dict):
        yield from ((name, _text(value)) for name, value in versions.items())


def _checkpoint_record(path: Path) -> Values:
    """What the newest checkpoint of an unfinished run says of it; nothing where there is none, or it is damaged."""
    try:
        newest = max(os.listdir(path / CHECKPOINTS), default="")
    except OSError:
        return {}
    record = _document(path / CHECKPOINTS / newest / RECORDS).get("run")
    return record if isinstance(record, dict) else {}


def _document(path: Path) -> Values:
    """A JSON object of a run that has been read before; empty where it is gone, or is no object."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _command(value: object) -> str | None:
    """As it would be typed."""
    return shlex.join(map(str, value)) if isinstance(value, list) and value else None


def _wall_seconds(summary: Values, evaluations: Sequence[Evaluation]) -> float | None:
    value = summary.get("wall_seconds")
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return evaluations[-1].wall_seconds if evaluations else None


def _text(value: object) -> str:
    """As on the command line."""
    return value if isinstance(value, str) else json.dumps(value)


def _relative(path: Path, folder: Path) -> str:
    """A run's path in the folder; the run's own name where it is the folder itself."""
    return str(path.relative_to(folder)) if path != folder else path.resolve().name


def _videos(run: Path, folder: Path, excluded: Path) -> dict[str, Path]:
    """The videos in a run's folder, by what they are called beside the page."""
    found = {}
    for place, folders, files in os.walk(run):
        inside = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if name != CHECKPOINTS
            and not (inside / name / CONFIG).exists()  # another run's
            and (inside / name).resolve() != excluded.resolve()
        )
        for name in sorted(files):
            if name.endswith(".mp4"):
                path = inside / name
                found[str(Path("videos") / path.relative_to(folder))] = path
    return found
