"""A folder of results: claimed by one process, whole or not at all, only what this package wrote replaced."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pnc.errors import InvalidInputError
from pnc.records import check_folder, claimed, found_folder, new_folder, read_verified


def write(place: Path, text: str = "ours", *, force: bool = False) -> None:
    with new_folder(place, force=force) as folder:
        (folder / "a.txt").write_text(text)
        (folder / "b.bin").write_bytes(bytes(range(256)))


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_the_list_of_digests_is_what_sha256sum_reads(tmp_path):
    write(tmp_path / "run")
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "run", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["a.txt:", "OK", "b.bin:", "OK"]


@pytest.mark.parametrize("at", [0, 100, 255])
def test_a_flipped_bit_is_refused_by_name(tmp_path, at):
    write(tmp_path / "run")
    file = tmp_path / "run" / "b.bin"
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)
    assert read_verified(tmp_path / "run", "a.txt").read_text() == "ours"
    with pytest.raises(InvalidInputError, match=r"b\.bin, which is not what was written"):
        read_verified(tmp_path / "run", "b.bin")


def test_what_is_not_listed_or_not_there_is_refused(tmp_path):
    write(tmp_path / "run")
    (tmp_path / "run" / "c.txt").write_text("c")
    with pytest.raises(InvalidInputError, match=r"c\.txt, which SHA256SUMS does not list"):
        read_verified(tmp_path / "run", "c.txt")
    (tmp_path / "run" / "a.txt").unlink()
    with pytest.raises(InvalidInputError, match="No such file"):
        read_verified(tmp_path / "run", "a.txt")
    (tmp_path / "run" / "SHA256SUMS").write_bytes(b"\xff\x00")
    with pytest.raises(InvalidInputError, match=r"b\.bin, whose digest is missing"):
        read_verified(tmp_path / "run", "b.bin")


@pytest.mark.parametrize("written", [False, True])
def test_force_replaces_only_what_was_written_here(tmp_path, written):
    place = tmp_path / "run"
    if written:
        write(place)
    else:
        place.mkdir()
    (place / "thesis.tex").write_text("years of work")
    with pytest.raises(InvalidInputError, match=r"which holds thesis\.tex: not written by pnc"):
        write(place, "new", force=True)
    assert (place / "thesis.tex").read_text() == "years of work"
    (place / "thesis.tex").unlink()
    write(place, "new", force=True)
    assert (place / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["run"]


HOLD = """
import sys
from pnc.records import claimed
with claimed(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(place: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_two_processes_do_not_write_one_folder(tmp_path):
    place = tmp_path / "above" / "run"
    process = holder(place)
    with pytest.raises(InvalidInputError, match=f"which process {process.pid} is writing"):
        write(place)
    process.communicate()
    assert names(tmp_path) == []  # the holder wrote nothing, and leaves nothing
    write(place)
    assert names(tmp_path / "above") == ["run"]


@pytest.mark.parametrize("moment", ["while writing", "between the two renamings", "before clearing away"])
def test_what_a_killed_process_leaves_is_cleared_away(tmp_path, moment):
    place = tmp_path / "run"
    write(place, "old")
    process = holder(tmp_path / "other")
    process.kill()
    process.communicate()
    (tmp_path / ".other.lock").rename(tmp_path / ".run.lock")
    new = tmp_path / ".run.new"
    if moment == "before clearing away":
        write(tmp_path / "newer", "new")
        place.rename(tmp_path / ".run.old")
        (tmp_path / "newer").rename(place)
    else:
        new.mkdir()
        (new / "a.txt").write_text("half")
        if moment == "between the two renamings":
            place.rename(tmp_path / ".run.old")
    found = "new" if moment == "before clearing away" else "old"
    assert (found_folder(place) / "a.txt").read_text() == found
    with pytest.raises(InvalidInputError, match="exists"):
        write(place)
    assert (place / "a.txt").read_text() == found
    write(place, "newest", force=True)
    assert (place / "a.txt").read_text() == "newest"
    assert names(tmp_path) == ["run"]


def test_what_a_living_process_holds_is_left_alone(tmp_path):
    process = holder(tmp_path / "run")
    (tmp_path / ".run.old").mkdir()
    (tmp_path / ".run.new").mkdir()
    assert not found_folder(tmp_path / "run").exists()
    with pytest.raises(InvalidInputError, match="is writing"):
        write(tmp_path / "run")
    assert names(tmp_path) == [".run.lock", ".run.new", ".run.old"]
    process.communicate()


def test_bad_names_are_refused_before_anything_is_done(tmp_path):
    for length in (236, 254, 255, 256, 300):
        with pytest.raises(InvalidInputError, match=f"a name of {length} bytes"):
            check_folder(tmp_path / ("n" * length))
    with pytest.raises(InvalidInputError, match="a name of 240 bytes"):
        check_folder(tmp_path / ("ε" * 120))
    write(tmp_path / ("n" * 235))
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match=r"a link to .*nowhere, which is not there"):
        check_folder(tmp_path / "link")


def test_files_are_as_private_as_the_user_asks(tmp_path):
    before = os.umask(0o077)
    try:
        write(tmp_path / "run")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run").iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


def test_a_folder_is_claimed_once_by_one_process(tmp_path):
    with claimed(tmp_path / "run"):
        write(tmp_path / "run")
        with pytest.raises(InvalidInputError, match="exists"), claimed(tmp_path / "run"):
            pass
    assert names(tmp_path) == ["run"]


def test_folders_within_are_replaced_where_all_of_it_was_written_here(tmp_path):
    place = tmp_path / "run"

    def write():
        with new_folder(place, force=True) as inside:
            (inside / "figures" / "deep").mkdir(parents=True)
            (inside / "figures" / "a.svg").write_text("a")
            (inside / "figures" / "deep" / "b.svg").write_text("b")

    write()
    write()
    for mine in ("figures/mine.txt", "figures/deep/mine.txt", "figures/new/mine.txt"):
        (place / mine).parent.mkdir(exist_ok=True)
        (place / mine).write_text("kept")
        with pytest.raises(InvalidInputError, match=mine.removesuffix("/mine.txt") if "new" in mine else mine):
            write()
        (place / mine).unlink()
        if "new" in mine:
            (place / mine).parent.rmdir()
    write()
