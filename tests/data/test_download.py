"""Downloads from a server on this machine: broken off, resumed, damaged, refused."""

import hashlib
import socket
import threading

import numpy as np
import pytest

from pnc.data.download import PublishedFile, data_folder, download
from pnc.errors import InvalidInputError

from .server import Site, serve

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def site():
    with serve(Site(files={"/data.bin": CONTENT})) as running:
        yield running


def published(site, *paths, checksum=SHA256):
    urls = tuple(site.address + path for path in (paths or ("/data.bin",)))
    return PublishedFile(name="data.bin", urls=urls, checksum=checksum)


def fetched(file, folder, **options):
    return download(file, folder, timeout=10, **options)


def refused(match, *args, **options):
    with pytest.raises(InvalidInputError, match=match) as caught:
        fetched(*args, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("checksum", [SHA256, "md5:" + hashlib.md5(CONTENT).hexdigest()])
def test_a_whole_file(site, tmp_path, checksum):
    folder = tmp_path / "new" / "folder"
    path = fetched(published(site, checksum=checksum), folder)
    assert path == folder / "data.bin"
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in folder.iterdir()] == ["data.bin"]


def test_a_file_that_is_there_is_not_asked_for(site, tmp_path):
    (tmp_path / "data.bin").write_bytes(b"mine")
    assert fetched(published(site), tmp_path).read_bytes() == b"mine"
    assert site.asked == []


def test_progress(site, tmp_path):
    told = []
    fetched(published(site), tmp_path, progress=lambda done, total: told.append((done, total)))
    done, totals = zip(*told)
    assert done[0] == 0
    assert done[-1] == len(CONTENT)
    assert list(done) == sorted(done)
    assert set(totals) == {len(CONTENT)}


def test_a_transfer_that_breaks_off_is_resumed_at_once(site, tmp_path):
    site.break_after["/data.bin"] = [300_000, 200_000]
    assert fetched(published(site), tmp_path).read_bytes() == CONTENT
    ranges = [wanted for _, wanted in site.asked]
    assert ranges == [None, "bytes=300000-", "bytes=500000-"]


def test_what_arrived_is_kept_for_the_next_call(site, tmp_path):
    site.break_after["/data.bin"] = [300_000]
    refused("broke off 700000 bytes early.*try again", published(site), tmp_path, attempts=1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.bin.part"]
    assert (tmp_path / "data.bin.part").read_bytes() == CONTENT[:300_000]
    told = []
    path = fetched(published(site), tmp_path, progress=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert told[0] == (300_000, len(CONTENT))
    assert site.asked[-1][1] == "bytes=300000-"
    assert not (tmp_path / "data.bin.part").exists()


def test_a_server_without_ranges_starts_again(site, tmp_path):
    site.ranges = False
    site.break_after["/data.bin"] = [300_000]
    assert fetched(published(site), tmp_path).read_bytes() == CONTENT


def test_a_whole_unfinished_file_needs_its_name_only(site, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(CONTENT)  # killed between the last byte and the renaming
    assert fetched(published(site), tmp_path).read_bytes() == CONTENT
    assert len(site.asked) == 1


@pytest.mark.parametrize("stale", [b"x" * 300_000, b"x" * 2_000_000])
def test_an_unfinished_file_of_something_else_is_thrown_away(site, tmp_path, stale):
    (tmp_path / "data.bin.part").write_bytes(stale)
    assert fetched(published(site), tmp_path).read_bytes() == CONTENT


def test_a_partial_answer_from_the_wrong_byte_is_not_used(site, tmp_path):
    site.shift = 7
    site.break_after["/data.bin"] = [300_000]
    refused("asked for bytes from 300000, answered from 300007", published(site), tmp_path)
    assert not (tmp_path / "data.bin").exists()


def test_a_wrong_checksum_is_refused_and_leaves_nothing(site, tmp_path):
    wrong = "sha256:" + "0" * 64
    refused("checksum .*, not 0000", published(site, checksum=wrong), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(site.asked) == 1  # the same server would send the same again


def test_the_next_address_is_tried(site, tmp_path):
    site.status["/gone"] = 404
    site.files["/damaged"] = CONTENT[:-1] + b"?"
    assert fetched(published(site, "/gone", "/damaged", "/data.bin"), tmp_path).read_bytes() == CONTENT
    assert [path for path, _ in site.asked] == ["/gone", "/damaged", "/data.bin"]


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 3)])
def test_a_server_that_refuses(site, tmp_path, status, requests):
    site.status["/data.bin"] = status
    refused(f"the server answers {status}", published(site), tmp_path)
    assert len(site.asked) == requests  # 5xx may pass
    assert list(tmp_path.iterdir()) == []


def test_no_network(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/data.bin"
        file = PublishedFile(name="data.bin", urls=(address,), checksum=SHA256)
        refused(f"Connection refused.*get {address} elsewhere and put it in {tmp_path}", file, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_does_not_resolve(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    file = PublishedFile(name="a", urls=("http://nowhere.invalid/a",), checksum=SHA256)
    refused("Name or service not known", file, tmp_path)


def test_a_silent_server(tmp_path):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a"
        file = PublishedFile(name="a", urls=(address,), checksum=SHA256)
        with pytest.raises(InvalidInputError, match="timed out"):
            download(file, tmp_path, timeout=0.05, attempts=2)


def test_two_at_a_time_fetch_it_once(site, tmp_path):
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetched(published(site), tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(paths) == 4
    assert len(site.asked) == 1
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made(site, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    refused("cannot be written", published(site), tmp_path / "file" / "inside")


def test_where_downloads_go(monkeypatch, tmp_path):
    monkeypatch.setenv("PNC_DATA_DIR", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.delenv("PNC_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_folder() == tmp_path / "pnc"
