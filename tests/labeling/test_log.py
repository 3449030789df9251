import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.labeling import log
from pipeline.labeling.log import FollowedLog, append, latest, merge, read_log
from pipeline.records import Annotation, Rejection
from pipeline.settings import Task

TASK = Task(labels=("information", "influence", "job_lead"))
ADA = Annotation("m1", "ada", ("influence",), "influence", role="reader", note="“née”\n\u2028")
BEN = Annotation("m1", "ben", (), "none", sure=False, confidence=0.5, suggested=True)
OUT = Annotation("m2", "ada", None, time="2026-01-02T03:04:05+00:00", codebook="1.2")

annotations = st.builds(
    Annotation,
    message=st.text(min_size=1),
    annotator=st.text(min_size=1),
    asks=st.sampled_from([("influence",), ("job_lead",)]),
    primary=st.none(),
    role=st.text(),
    sure=st.booleans(),
    confidence=st.none() | st.floats(0, 1),
    note=st.text(),
    suggested=st.booleans(),
)


def test_what_is_appended_is_read_back(tmp_path):
    path = tmp_path / "new" / "folder" / "log.jsonl"
    assert append(path, [ADA, BEN]) == 2
    assert append(path, [OUT]) == 1
    assert append(path, []) == 0
    assert list(read_log(path, TASK)) == [ADA, BEN, OUT]
    assert path.stat().st_mode & 0o077 == 0, "annotations are nobody else's business"


@settings(max_examples=25)  # each writes and syncs files
@given(st.lists(annotations, max_size=5))
def test_any_annotation_survives_the_round_trip(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    append(path, written)
    read = list(read_log(path, TASK)) if written else []
    expected = [a.to_row() | {"primary": a.asks[0]} for a in written]
    assert [a.to_row() | {"asks": a.asks} for a in read] == expected


@pytest.mark.parametrize(
    ("line", "reason", "words"),
    [
        (b'{"message": "m1", "anno', "not_json", "one JSON object a line"),
        (b"\xff\xfe\x00", "not_json", "one JSON object a line"),
        (b"[" * 100_000, "not_json", "one JSON object a line"),
        (b"[1]", "not_json", "found list"),
        (b'{"message": "m1", "annotator": "ada"}', "missing_field", "no asks"),
        (b'{"message": "m1", "annotator": "ada", "asks": ["jobs"]}', "bad_annotation", "jobs"),
    ],
)
def test_a_bad_line_is_rejected_with_its_place_and_the_rest_goes_on(tmp_path, line, reason, words):
    path = tmp_path / "log.jsonl"
    append(path, [ADA])
    with path.open("ab") as stream:
        stream.write(line + b"\n\n")
    append(path, [BEN])
    first, rejected, last = read_log(path, TASK)
    assert (first, last) == (ADA, BEN)
    assert isinstance(rejected, Rejection)
    assert (rejected.source, rejected.position) == (str(path), "line 2")
    assert rejected.reason == reason
    assert words in rejected.detail


@settings(max_examples=25)
@given(st.data())
def test_a_log_cut_anywhere_loses_only_the_cut_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    append(path, [ADA, BEN, OUT])
    whole = path.read_bytes()
    kept = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:kept])
    append(path, [ADA])  # somebody goes on without noticing
    found = list(read_log(path, TASK))
    intact = [ADA, BEN, OUT][: whole[:kept].count(b"\n")]
    assert found[: len(intact)] == intact
    assert found[-1] == ADA
    assert len(found) <= len(intact) + 2


def test_a_missing_log_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        list(read_log(tmp_path / "nowhere.jsonl", TASK))


def test_the_public_labels_name_the_message_id(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"id": "q1", "annotator": "kp1", "asks": [], "source": "somewhere"}\n')
    assert next(read_log(path, TASK)).message == "q1"


def test_threads_that_write_at_once_do_not_mix_their_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    long = [Annotation("m", f"a{i}", None, note="x" * 5000) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: append(path, [one]), long))
    assert {a.annotator for a in read_log(path, TASK)} == {a.annotator for a in long}


WRITER = """
import sys
from pathlib import Path
from pipeline.labeling.log import append
from pipeline.records import Annotation
for i in range(25):
    append(Path(sys.argv[1]), [Annotation(f"m{i}", sys.argv[2], (), "none", note="y" * 9000)])
"""


def test_processes_that_write_at_once_do_not_mix_their_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    run = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*run, name]) for name in ("ada", "ben", "cy")]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    found = list(read_log(path, TASK))
    assert not [entry for entry in found if isinstance(entry, Rejection)]
    assert len({(a.annotator, a.message) for a in found}) == 75


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    append(path, [ADA])
    before = path.read_bytes()
    really = os.write

    def half_then_full(handle, content):
        if len(content) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really(handle, content[: len(content) // 2])

    monkeypatch.setattr(log.os, "write", half_then_full)
    with pytest.raises(InputError, match=r"No space left on device\); nothing was added"):
        append(path, [BEN, OUT])
    monkeypatch.undo()
    assert path.read_bytes() == before
    append(path, [BEN])
    assert list(read_log(path, TASK)) == [ADA, BEN]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_really_full_device_is_said(tmp_path):
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(InputError, match="cannot be written"):
        append(tmp_path / "log.jsonl", [ADA])


def test_a_log_that_stays_locked_is_said(tmp_path, monkeypatch):
    from filelock import FileLock

    monkeypatch.setattr(log, "LOCK_SECONDS", 0.05)
    path = tmp_path / "log.jsonl"
    with (
        FileLock(tmp_path / ".log.jsonl.lock"),
        pytest.raises(InputError, match="another program has kept it locked"),
    ):
        append(path, [ADA])
    assert not path.exists()


def test_the_last_answer_stands_by_time_then_by_order():
    early = Annotation("m1", "ada", (), "none", time="2026-01-01T10:00:00+00:00")
    late = Annotation("m1", "ada", ("influence",), "influence", time="2026-01-01T12:30:00+02:00")
    undated = Annotation("m1", "ada", ("job_lead",), "job_lead")
    assert latest([late, early, undated, BEN]) == [late, BEN]
    assert latest([early, late]) == [late]
    assert latest([undated, ADA]) == [ADA]
    withdrawn = Annotation("m1", "ada", None, time="2026-01-03")
    assert latest([late, withdrawn]) == [withdrawn]


def test_merging_takes_each_annotation_once_and_twice_changes_nothing(tmp_path):
    here, there, both = (tmp_path / f"{name}.jsonl" for name in ("here", "there", "both"))
    append(here, [OUT, ADA])
    append(there, [ADA, BEN])
    with there.open("a") as stream:
        stream.write('{"mess')
    added, rejected = merge([here, there], both, TASK)
    assert (added, len(rejected)) == (3, 1)
    assert set(read_log(both, TASK)) == {ADA, BEN, OUT}
    once = both.read_bytes()
    assert merge([there, here, both], both, TASK)[0] == 0
    assert both.read_bytes() == once


def test_a_followed_log_gives_only_whole_new_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    followed = FollowedLog(path, TASK)
    assert followed.new() == []
    append(path, [ADA])
    assert followed.new() == [ADA]
    assert followed.new() == []
    line = json.dumps({"message": "m3", "annotator": "ben", "asks": []})
    with path.open("a") as stream:
        stream.write(line[:20])
    assert followed.new() == []
    with path.open("a") as stream:
        stream.write(line[20:] + "\nnonsense\n")
    annotation, rejected = followed.new()
    assert annotation.message == "m3"
    assert rejected.position == "line 3"
    path.write_text("")
    with pytest.raises(InputError, match="became shorter"):
        followed.new()
