"""The settings as --help shows them, from their fields."""

import json
import textwrap
from typing import Any

from omegaconf import MISSING

from pogo.core.algorithms import algorithm_names
from pogo.core.config.schema import shared_settings

WIDTH = 116


def settings_text() -> str:
    """Every setting with its default, section by section, wrapped and indented."""
    sections: dict[str, list[str]] = {}
    for key, entry in shared_settings().items():
        section, _, name = key.rpartition(".")
        if entry.default != MISSING:
            sections.setdefault(section, []).append(f"{name}={_written(entry.default)}")
    sections["algorithm"] = ["<hyperparameter>, see docs/hyperparameters.md"]
    lines = [f"  algorithm=iql  of {' | '.join(sorted(algorithm_names()))}"]
    for section, entries in sections.items():
        start = f"  {section}." if section else "  "
        text = "  ".join(entries)
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False
        )
    return "\n".join(lines)


def settings_that_tell_no_runs_apart() -> str:
    """The settings that are no part of what a run computes; a whole section as `section.*`."""
    by_section: dict[str, list[tuple[str, bool]]] = {}
    for key, entry in shared_settings().items():
        by_section.setdefault(key.rpartition(".")[0], []).append((key, not entry.meaning.identity))
    found = []
    for section, entries in by_section.items():
        if section and all(held for _, held in entries):
            found.append(f"{section}.*")
        else:
            found += [key for key, held in entries if held]
    return textwrap.fill(", ".join(found), WIDTH, break_on_hyphens=False)


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
