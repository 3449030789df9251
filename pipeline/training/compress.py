"""What makes a trained model quick: its 8-bit graph and its student, each measured first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.inference.backends import has_int8
from pipeline.inference.classifier import Classifier
from pipeline.inference.folder import ONNX_INT8, STUDENT
from pipeline.progress import Progress
from pipeline.records import LabelledMessage
from pipeline.store import write_json
from pipeline.training.measure import Calibrated, texts_of
from pipeline.training.quantize import CALIBRATION_TEXTS, RUNGS, quantize
from pipeline.training.student import fit_student

LOSS_ALLOWED = 0.005
"""Points of macro-F1 (of one) that 8 bits may lose against 32 on validation."""
CURVE = "curve.json"


def write_int8(
    folder: Path, learned: Sequence[LabelledMessage], held_out: Calibrated, progress: Progress
) -> dict[str, Any]:
    """Write the 8-bit graph, unless it loses too much on the held-out messages.

    Of the ways to quantise, the first that loses little enough is kept.

    Returns:
        What it lost, and which way was kept; empty for none.
    """
    if not has_int8():
        progress.note("No 8-bit graph: this CPU cannot run it, so it could not be measured.")
        return {"int8": ""}
    exact = Classifier(folder, "onnx")
    every = max(len(learned) // CALIBRATION_TEXTS, 1)
    ids = exact.encode(texts_of(learned[::every][:CALIBRATION_TEXTS]))
    whole = held_out.primary_macro_f1(held_out.logits, exact.labels, exact.multi_label)
    for rung, name in enumerate(RUNGS):
        quantize(folder, ids, rung)
        logits = Classifier(folder, "onnx-int8").logits(held_out.texts)
        lost = whole - held_out.primary_macro_f1(logits, exact.labels, exact.multi_label)
        if lost <= LOSS_ALLOWED:
            return {"int8": name, "int8_macro_f1_lost": round(lost, 4)}
        progress.note(
            f"8 bits in {name}: {100 * lost:.1f} points of macro-F1 lost on validation, "
            f"{100 * LOSS_ALLOWED:.1f} are allowed."
        )
    (folder / ONNX_INT8).unlink()
    progress.note("No 8-bit graph is written; predictions use 32 bits.")
    return {"int8": "", "int8_macro_f1_lost": round(lost, 4)}


def write_student(
    folder: Path, learned: Sequence[LabelledMessage], held_out: Calibrated
) -> dict[str, Any]:
    """Train the student and measure when the folder's model should be asked instead.

    It learns what the annotators said. Learning also what the network says of the same messages
    (Hinton, Vinyals and Dean, 2015) did not make it better here and takes a forward pass each.

    Returns:
        Its macro-F1 on validation, and the share of messages that `balanced` passes on.
    """
    model = Classifier(folder)
    if model.backend == "onnx-int8":  # `balanced` asks this one
        held_out = replace(held_out, logits=model.logits(held_out.texts))
    student, curve = fit_student(
        model.encode(texts_of(learned)),
        np.array([m.targets for m in learned]),
        model.encode(held_out.texts),
        held_out,
        model.labels,
        model.multi_label,
    )
    student.save(folder / STUDENT)
    points = [{"share": p.share, "macro_f1": round(p.macro_f1, 4)} for p in curve]
    write_json((folder / STUDENT).with_name(CURVE), points)
    share = next(p.share for p in curve if p.sure_from == student.sure_from)
    return {"student_macro_f1": round(curve[0].macro_f1, 4), "balanced_share": round(share, 3)}
