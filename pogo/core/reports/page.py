"""The HTML report: one page that opens without a network, with the videos of its runs beside it."""

import base64
import hashlib
import html
import json
import os
import re
import shutil
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from pogo.core.errors import BadInput
from pogo.core.files.documents import JSON
from pogo.core.files.durable import make_folder, replace_file
from pogo.core.reports.live import Watch
from pogo.core.reports.page_data import page_data

PAGE = "index.html"
# Vega-Lite's grammar, compiler and drawing in one script; of this version, so that one page is like another.
_VEGA_LITE = "6.4"
_SCRIPTS = ("tables.js", "figures.js", "page.js")
_PLACE = re.compile(r"\{\{(\w+)\}\}")


def write_page(folder: Path, out: Path, watch: Watch, reload_seconds: float | None = None) -> list[str]:
    """Write the report of what was seen in `folder` into `out`, in the place of an older one.

    The page is replaced at once, whole; videos are copied beside it where they are not there yet.

    Args:
        folder: where the runs are.
        out: a folder, made if missing.
        watch: the runs, and how far they are.
        reload_seconds: after which the page in a browser loads itself anew; None: never.

    Returns:
        What is wrong with the runs, a line each; it stands on the page too.

    Raises:
        BadInput: the page cannot be written, or what it needs is not installed.
    """
    data = page_data(folder, watch, reload_seconds, excluded=out)
    try:
        make_folder(out)
        for name, video in data.videos.items():
            _copy(video, out / name)
        replace_file(out / PAGE, page_html(data.document).encode(errors="replace"))
    except OSError as error:
        raise BadInput(f"{error.filename or out} cannot be written: {error.strerror}; give --html a folder.") from error
    return list(data.warnings)


def page_html(document: Mapping[str, JSON]) -> str:
    """The page that shows a document of `page_data`. What came from files is data in it, never markup."""
    scripts = [vega_bundle(), *map(_asset, _SCRIPTS)]
    # The page runs these scripts and no other, and loads nothing but pictures it has drawn and videos beside it.
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    parts = {
        "policy": f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "media-src 'self' file:; base-uri 'none'; form-action 'none'",
        "title": html.escape(f"pogo: runs in {document['folder']}"),
        "styles": _asset("page.css"),
        "data": json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", r"\u003c"),
        "scripts": "".join(f"<script>{script}</script>\n" for script in scripts),
    }
    return _PLACE.sub(lambda place: parts[place[1]], _asset("template.html"))


@cache
def vega_bundle() -> str:
    """The drawing library as one script.

    Raises:
        BadInput: vl-convert-python is not installed.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise BadInput(
            "the HTML report needs vl-convert-python, not installed here: pip install 'pogo[report]'."
        ) from error
    return script_text(vl_convert.javascript_bundle(vl_version=_VEGA_LITE))


def script_text(code: str) -> str:
    r"""JavaScript that means the same and stays inside its element: `<` of `</script` and `<!--` is written \x3c.

    Both stand in texts and patterns of a program alone, where the two spellings are one.
    """
    return re.sub(r"<(?=/script|!--)", r"\\x3c", code, flags=re.IGNORECASE).replace("\r", "")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _asset(name: str) -> str:
    return files("pogo.core.reports").joinpath("assets", name).read_text(encoding="utf-8")


def _copy(video: Path, target: Path) -> None:
    """Copy what is not there yet; a film in the making is taken as it is, and again the next time."""
    found = video.stat()
    if target.exists() and (target.stat().st_size, int(target.stat().st_mtime)) == (found.st_size, int(found.st_mtime)):
        return
    make_folder(target.parent)
    partial = target.with_name(f".{target.name}.partial")
    shutil.copy2(video, partial)
    os.replace(partial, target)
