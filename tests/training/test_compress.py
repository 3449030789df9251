"""What makes a model quick is written only where it was measured to be good enough."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

import pipeline
from pipeline.inference.backends import has_int8
from pipeline.inference.classifier import probabilities
from pipeline.inference.folder import ONNX, ONNX_INT8, STUDENT
from pipeline.progress import Silent
from pipeline.records import LabelledMessage, render
from pipeline.settings import Settings
from pipeline.store import read_manifest, read_records
from pipeline.training import compress
from pipeline.training.measure import Calibrated
from pipeline.training.quantize import quantize, smooth
from pipeline.training.student import fit_student

needs_int8 = pytest.mark.skipif(
    not has_int8(), reason="this CPU has no 8-bit dot product (AVX-VNNI, AVX-512 VNNI or ARM's)"
)


class Notes(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def folder(trained: Settings, tmp_path: Path) -> Path:
    copied = tmp_path / "model"
    shutil.copytree(trained.model_dir, copied)
    (copied / "manifest.json").unlink()
    return copied


@pytest.fixture(scope="module")
def held_out(trained: Settings) -> list[LabelledMessage]:
    return read_records(trained.label_dir / "validation.parquet", LabelledMessage)


@pytest.fixture(scope="module")
def texts(held_out: list[LabelledMessage]) -> list[str]:
    return [render(m.subject, m.text) for m in held_out]


@pytest.fixture(scope="module")
def found(trained: Settings, held_out: list[LabelledMessage], texts: list[str]) -> Calibrated:
    model = pipeline.load(trained.model_dir, backend="onnx")
    logits, count = model.logits(texts), len(held_out)
    return Calibrated(held_out, np.ones(count), logits, model.thresholds, [1.0] * 3)


def test_training_says_what_it_wrote(trained: Settings) -> None:
    counts = read_manifest(trained.model_dir)["counts"]
    assert (trained.model_dir / STUDENT).is_file()
    assert (trained.model_dir / ONNX_INT8).is_file() == bool(counts["int8"])
    assert 0 <= counts["balanced_share"] <= 1
    curve = json.loads((trained.model_dir / "student" / "curve.json").read_text())
    assert (curve[0]["share"], curve[-1]["share"]) == (0.0, 1.0)


@needs_int8
def test_eight_bits_that_lose_too_much_are_not_kept(
    folder: Path,
    held_out: list[LabelledMessage],
    found: Calibrated,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compress, "LOSS_ALLOWED", -1.0)
    notes = Notes()
    counts = compress.write_int8(folder, held_out, found, notes)
    assert counts["int8"] == ""
    assert not (folder / ONNX_INT8).exists()
    assert "points of macro-F1 lost" in notes.lines[0]
    assert notes.lines[-1].startswith("No 8-bit graph is written")
    assert pipeline.load(folder).backend == "onnx"


def test_a_cpu_that_cannot_measure_writes_nothing(
    folder: Path,
    held_out: list[LabelledMessage],
    found: Calibrated,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compress, "has_int8", lambda: False)
    (folder / ONNX_INT8).unlink(missing_ok=True)
    notes = Notes()
    counts = compress.write_int8(folder, held_out, found, notes)
    assert counts == {"int8": ""}
    assert not (folder / ONNX_INT8).exists()
    assert "this CPU cannot run it" in notes.lines[0]


def test_smoothing_changes_the_weights_and_no_answer(folder: Path, texts: list[str]) -> None:
    exact = pipeline.load(folder, backend="onnx")
    before = exact.predict_proba(texts)
    graph = onnx.load(str(folder / ONNX))
    layers = len(graph.graph.node)
    smooth(graph, exact.encode(texts))
    # In each of two layers: attention's projections and the first of the feed-forward part. The
    # last layer's keys and values stand apart, since its queries come from one token.
    assert len(graph.graph.node) - layers == 2 + 3
    onnx.save(graph, str(folder / ONNX))
    after = pipeline.load(folder, backend="onnx").predict_proba(texts)
    assert np.abs(after - before).max() < 1e-5


def test_the_eight_bit_graph_is_written_where_it_cannot_be_run_too(
    folder: Path, texts: list[str]
) -> None:
    (folder / ONNX_INT8).unlink(missing_ok=True)
    quantize(folder, pipeline.load(folder, backend="onnx").encode(texts))
    onnx.checker.check_model(onnx.load(str(folder / ONNX_INT8)))
    assert (folder / ONNX_INT8).stat().st_size < 0.8 * (folder / ONNX).stat().st_size


@needs_int8
@pytest.mark.parametrize("rung", [0, 1])
def test_the_smoothed_graph_still_says_nearly_the_same(
    folder: Path, texts: list[str], rung: int
) -> None:
    exact = pipeline.load(folder, backend="onnx")
    quantize(folder, exact.encode(texts), rung)
    eight_bits = pipeline.load(folder, backend="onnx-int8", threads=3)
    together = eight_bits.predict_proba(texts)
    assert np.abs(together - exact.predict_proba(texts)).mean() < 0.05
    alone = np.vstack([eight_bits.predict_proba([text]) for text in texts])
    assert np.array_equal(together, alone), "three messages at a time, each as if it were alone"


def said_of(targets: np.ndarray, primary: list[str], logits: np.ndarray) -> Calibrated:
    """Held-out messages with such labels, of which the transformer says this."""
    messages = [
        LabelledMessage(str(number), "", primary=label, targets=tuple(row))
        for number, (label, row) in enumerate(zip(primary, targets, strict=True))
    ]
    width = targets.shape[1]
    return Calibrated(messages, np.ones(len(messages)), logits, np.full(width, 0.5), [1.0] * width)


@pytest.mark.parametrize("multi_label", [True, False])
def test_the_curve_ends_at_the_transformer(multi_label: bool) -> None:
    rng = np.random.default_rng(0)
    ids = [[1, *rng.integers(3, 40, 6).tolist(), 2] for _ in range(120)]
    teacher = np.array([[4.0 * (5 in row) - 2, 4.0 * (6 in row) - 2] for row in ids])
    scores = 1 / (1 + np.exp(-teacher))
    labels = ["a", "b"]
    if multi_label:
        primary = ["a" if row[0] > 0 else "b" if row[1] > 0 else "none" for row in teacher]
    else:
        primary = [labels[i] for i in teacher.argmax(axis=1)]
    held_out = said_of((scores > 0.5).astype(float), primary, teacher)
    student, curve = fit_student(ids, scores, ids, held_out, labels, multi_label)
    assert [p.share for p in curve] == sorted(p.share for p in curve)
    assert curve[-1].macro_f1 == pytest.approx(1.0)
    chosen = next(p for p in curve if p.sure_from == student.sure_from)
    assert chosen.macro_f1 >= curve[-1].macro_f1 - 0.01


def invented_ids(count: int = 300, seed: int = 0) -> list[list[int]]:
    """Texts of the same six words in any order, which say nothing of a label."""
    rng = np.random.default_rng(seed)
    return [[1, *(rng.permutation(6) + 3).tolist(), 2] for _ in range(count)]


def single_label_scores(targets: np.ndarray) -> np.ndarray:
    """What a student says of new texts, having learned from others with these targets."""
    count, width = targets.shape
    labels, texts = [f"label {i}" for i in range(width)], invented_ids(count)
    primary = [labels[i] for i in targets.argmax(axis=1)]
    held_out = said_of(targets, primary, 4 * targets)
    learned = invented_ids(count, seed=1)
    student, _ = fit_student(learned, targets, texts, held_out, labels, multi_label=False)
    return probabilities(student.logits(texts), multi_label=False)


def test_where_words_say_little_the_student_answers_with_the_common_label() -> None:
    one_in_ten = (np.arange(300) % 10 == 0).astype(int)
    scores = single_label_scores(np.eye(2)[one_in_ten])
    assert (scores.argmax(axis=1) == 0).all()
    assert scores[:, 0].mean() == pytest.approx(0.9, abs=0.05)


def test_the_student_does_not_answer_with_a_label_it_never_saw() -> None:
    scores = single_label_scores(np.eye(4)[np.arange(300) % 3])
    assert (scores[:, 3] < 0.1).all()
