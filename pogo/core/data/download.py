"""Dataset files in a cache folder, fetched where they are missing: digest, size limit, temporary name."""

import contextlib
import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pogo.core.data.raw_rows import GIB
from pogo.core.errors import BadInput

_BLOCK = 2**20
_TIMEOUT_SECONDS = 30.0


def cache_folder(cache_dir: str | None) -> Path:
    """Where D4RL files are kept: the one named, D4RL's own environment variable, or D4RL's own default."""
    return Path(cache_dir or os.environ.get("D4RL_DATASET_DIR") or "~/.d4rl/datasets").expanduser()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_digest(path: Path, pinned: str | None) -> str:
    """The file's digest, held to the one pinned by the user and to the one recorded when it was downloaded.

    Raises:
        BadInput: the digest is not the pinned one, or the path is no regular file.
    """
    if path.exists() and not path.is_file():  # a pipe or a device: reading it may never end
        raise BadInput(f"{path}: not a regular file; name a file of data.")
    digest = file_digest(path)
    if pinned is not None and digest != pinned.lower():
        raise BadInput(f"{path}: SHA-256 is {digest}, but dataset.sha256={pinned}; use the right file or digest.")
    sidecar = _sidecar(path)
    recorded = sidecar.read_text().split()[:1] if sidecar.is_file() else []
    if recorded and recorded[0] != digest:
        raise BadInput(
            f"{path}: SHA-256 is {digest}, but {recorded[0]} was recorded at its download; "
            "the file has changed: delete it to fetch it again."
        )
    return digest


def cached_file(
    name: str, urls: Sequence[str], folder: Path, *, offline: bool, max_gib: float, sha256: str | None
) -> Path:
    """The file of dataset `name` in `folder`, downloaded from the first URL that works if it is not there.

    Raises:
        BadInput: offline or no URL works, too large, or not what `sha256` pins.
    """
    target = folder / urls[-1].rsplit("/", 1)[-1]
    if target.is_file():
        return target
    mend = f"put the file at {target}, name a local one with dataset.path=FILE, or another host with dataset.mirrors"
    if offline:
        raise BadInput(f"dataset {name} is not at {target} and dataset.offline=true; fetch {urls[-1]}, or {mend}.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"dataset cache {folder} cannot be made ({error}); set dataset.cache_dir.") from error
    failures = []
    for url in urls:
        try:
            _download(url, target, max_gib, sha256)
        except (OSError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
            failures.append(f"{url} ({_reason(error)})")
        else:
            return target
    raise BadInput(f"dataset {name} could not be downloaded from {' or '.join(failures)}; {mend}.")


def check_url(url: str) -> None:
    """Refuse what is not a web address: urllib would open files too.

    Raises:
        BadInput: another scheme, or no host.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadInput(f"dataset.mirrors: {url!r} is not an http or https address.")


def _download(url: str, target: Path, max_gib: float, sha256: str | None) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            expected = response.headers.get("Content-Length")
            digest, size = hashlib.sha256(), 0
            _check_length(int(expected) if expected else 0, max_gib, url)
            while block := response.read(_BLOCK):
                size += len(block)
                _check_length(size, max_gib, url)
                digest.update(block)
                file.write(block)
            if expected and size != int(expected):
                raise OSError(f"broke off after {size} of {expected} bytes")
            file.flush()
            os.fsync(file.fileno())
        found = digest.hexdigest()
        if sha256 is not None and found != sha256.lower():
            raise BadInput(f"{url}: SHA-256 is {found}, but dataset.sha256={sha256}; nothing was kept.")
        # The digest first: a crash between the two leaves no unverified file.
        _sidecar(target).write_text(f"{found}  {target.name}\n")
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):  # renamed
            os.unlink(temporary)


def _check_length(size: int, max_gib: float, url: str) -> None:
    if size > max_gib * GIB:
        raise BadInput(f"{url}: more than dataset.max_gib={max_gib:g}; raise it if the file is meant to be this large.")


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _reason(error: BaseException) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(reason) or type(error).__name__
