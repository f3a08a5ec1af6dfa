import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pogo.core.data.download import cache_folder, cached_file, check_digest, check_url
from pogo.core.errors import BadInput

CONTENT = b"some data" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT at /good/*, a torn copy at /torn/*, a huge claim at /huge/*, no length at /endless/*."""

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        self.server.requests.append(self.path)  # type: ignore[attr-defined]
        if kind == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        if kind != "endless":
            self.send_header("Content-Length", str(10**12 if kind == "huge" else len(CONTENT)))
        self.end_headers()
        body = CONTENT * 1000 if kind == "endless" else CONTENT[: 100 if kind == "torn" else None]
        try:
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            return

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def host(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def fetch(folder: Path, *urls: str, offline: bool = False, max_gib: float = 0.001, sha256: str | None = None) -> Path:
    return cached_file("hopper-medium-v2", urls, folder, offline=offline, max_gib=max_gib, sha256=sha256)


def test_a_file_is_fetched_once_with_its_digest(server: ThreadingHTTPServer, host: str, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    path = fetch(folder, f"{host}/good/data.hdf5")
    assert path == folder / "data.hdf5"
    assert path.read_bytes() == CONTENT
    assert (folder / "data.hdf5.sha256").read_text() == f"{DIGEST}  data.hdf5\n"
    assert sorted(entry.name for entry in folder.iterdir()) == ["data.hdf5", "data.hdf5.sha256"]
    assert check_digest(path, None) == DIGEST
    assert fetch(folder, f"{host}/good/data.hdf5", offline=True) == path
    assert server.requests == ["/good/data.hdf5"]  # type: ignore[attr-defined]


def test_mirrors_are_tried_in_order(host: str, tmp_path: Path) -> None:
    path = fetch(tmp_path, f"{host}/missing/data.hdf5", f"{host}/torn/data.hdf5", f"{host}/good/data.hdf5")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["missing", "torn"])
def test_a_failed_download_leaves_nothing_and_names_everything(host: str, tmp_path: Path, kind: str) -> None:
    reason = {"missing": "HTTP Error 404|Not Found", "torn": "broke off after 100 of 9000 bytes|IncompleteRead"}[kind]
    with pytest.raises(BadInput) as caught:
        fetch(tmp_path, f"{host}/{kind}/data.hdf5")
    message = str(caught.value)
    for part in (f"{host}/{kind}/data.hdf5", str(tmp_path / "data.hdf5"), "dataset.path=", "dataset.mirrors"):
        assert part in message
    assert any(part in message for part in reason.split("|"))
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_host_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"hopper-medium-v2 could not be downloaded from http://127.0.0.1:1/x.*refused"):
        fetch(tmp_path, "http://127.0.0.1:1/x/data.hdf5")


def test_offline_names_the_url_the_folder_and_the_path_option(server: ThreadingHTTPServer, tmp_path: Path) -> None:
    url = "http://127.0.0.1/data.hdf5"
    with pytest.raises(
        BadInput, match=rf"not at {tmp_path}/data.hdf5 and dataset.offline=true; fetch {url}.*dataset.p"
    ):
        fetch(tmp_path, url, offline=True)
    assert server.requests == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["huge", "endless"])
def test_a_file_above_the_limit_is_refused_and_not_kept(host: str, tmp_path: Path, kind: str) -> None:
    with pytest.raises(BadInput, match=r"more than dataset.max_gib=0.001"):
        fetch(tmp_path, f"{host}/{kind}/data.hdf5")
    assert list(tmp_path.iterdir()) == []


def test_a_pinned_digest_is_held_to(host: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"SHA-256 is {DIGEST}, but dataset.sha256=0+; nothing was kept"):
        fetch(tmp_path, f"{host}/good/data.hdf5", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []
    path = fetch(tmp_path, f"{host}/good/data.hdf5", sha256=DIGEST.upper())
    assert check_digest(path, DIGEST.upper()) == DIGEST
    with pytest.raises(BadInput, match=r"but dataset.sha256=0+"):
        check_digest(path, "0" * 64)


def test_a_file_that_changed_after_its_download_is_refused(host: str, tmp_path: Path) -> None:
    path = fetch(tmp_path, f"{host}/good/data.hdf5")
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(BadInput, match=rf"data.hdf5: SHA-256 is .*but {DIGEST} was recorded at its download; .*delete"):
        check_digest(path, None)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "/etc/passwd", "http://", "http://[bad"])
def test_only_web_addresses_are_taken(url: str) -> None:
    with pytest.raises(BadInput, match="is not an http or https address"):
        check_url(url)


def test_the_cache_is_the_one_named_or_d4rls_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("D4RL_DATASET_DIR", raising=False)
    assert cache_folder(None) == tmp_path / ".d4rl" / "datasets"
    monkeypatch.setenv("D4RL_DATASET_DIR", "/elsewhere")
    assert cache_folder(None) == Path("/elsewhere")
    assert cache_folder("/named") == Path("/named")
