"""JSON files that are either the old or the new one, whole, whatever happens: summary.json, the resolved config."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pogo.core.errors import RunFailed
from pogo.core.files.documents import JSON, as_json, as_null
from pogo.core.files.durable import replace_file

SUMMARY = "summary.json"
CONFIG = "config.json"
FAILED = "failed"  # in a summary: why the run ended before its time, in one line


def write_json_atomically(
    path: Path, document: Mapping[str, object], non_finite: Callable[[float], JSON] = as_null
) -> None:
    """Write `document` as indented JSON, keys sorted; the old file stays until the new one is whole.

    Args:
        path: the file.
        document: what it is to hold.
        non_finite: what stands for NaN and infinities, which JSON does not have.

    Raises:
        RunFailed: the file cannot be written; names the path and the cause, and leaves the old file as it was.
        TypeError: something in the document has no JSON form.
    """
    plain = as_json(document, path.name, non_finite)
    data = json.dumps(plain, indent=2, allow_nan=False).encode() + b"\n"
    try:
        replace_file(path, data)
    except OSError as exc:
        raise RunFailed(f"{path} could not be written: {exc}.") from exc


def read_summary(run_dir: Path) -> dict[str, Any]:
    """What a run's summary says; nothing where it has none, or none that can be read."""
    try:
        found = json.loads((run_dir / SUMMARY).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
