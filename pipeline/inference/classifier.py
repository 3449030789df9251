"""A trained model, loaded: texts in, calibrated probabilities and asks out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.inference.backends import BackendName, open_backend
from pipeline.inference.encoding import Encoder, batches, pad
from pipeline.inference.folder import TOKENIZER, read_contract
from pipeline.records import NONE, Prediction

TOKENS_PER_BATCH = 4096


class Classifier:
    """A model folder, ready to use.

    Attributes:
        labels: the labels, in the order of every array's columns.
        multi_label: whether a message may carry several labels or none.
        thresholds: per label, the probability from which an ask counts; shape (labels,).
        cleaning: how messages are prepared before they are scored. `predict` takes texts as they
            are; `pipeline.inference.stream.predict_stream` prepares messages first.
    """

    def __init__(self, folder: str | Path, backend: BackendName = "auto") -> None:
        """Load a model folder; `load` is the same and reads better.

        Raises:
            ModelFolderError: the folder is missing, incomplete, damaged or too new.
        """
        folder = Path(folder)
        contract = read_contract(folder)
        self.folder = folder
        self.labels: tuple[str, ...] = contract.task.labels
        self.multi_label: bool = contract.task.multi_label
        self.cleaning = contract.cleaning
        self.thresholds: NDArray[np.float64] = np.array(contract.thresholds)
        self._encode = Encoder(folder / TOKENIZER, contract.max_length, contract.long_messages)
        self._backend = open_backend(folder, backend)

    def predict_proba(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (texts, labels), columns in label order.

        Multi-label: each column is on its own, between 0 and 1. Single-label: rows add up to 1.
        """
        logits = self.logits(texts)
        if self.multi_label:
            return 1 / (1 + np.exp(-logits))
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    def logits(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """The network's calibrated logits, shape (texts, labels)."""
        if isinstance(texts, str):
            raise TypeError("expected a list of texts, found one text; put it in a list")
        encoded = self._encode(texts)
        logits = np.empty((len(encoded), len(self.labels)))
        for batch in batches([len(ids) for ids in encoded], TOKENS_PER_BATCH):
            logits[batch] = self._backend.logits(*pad([encoded[i] for i in batch]))
        return logits

    def predict(self, texts: Sequence[str], ids: Sequence[str] | None = None) -> list[Prediction]:
        """What each text asks for, in order.

        Args:
            texts: rendered messages (`pipeline.records.render` joins subject and body).
            ids: an id per prediction; by default its position, from "0".
        """
        names = ids if ids is not None else [str(i) for i in range(len(texts))]
        rows = self.predict_proba(texts)
        return [self._prediction(i, row) for i, row in zip(names, rows, strict=True)]

    def _prediction(self, name: str, row: NDArray[np.float64]) -> Prediction:
        asks = asks_of(row, self.labels, self.thresholds, self.multi_label)
        scores = {label: round(float(p), 6) for label, p in zip(self.labels, row, strict=True)}
        return Prediction(name, primary_of(row, asks, self.labels), asks, scores)


def load(folder: str | Path, backend: BackendName = "auto") -> Classifier:
    """Load a trained model.

    Args:
        folder: a model folder, such as ``models/default``.
        backend: `onnx` needs no torch; `torch` runs the weights through transformers; `auto`
            takes ONNX Runtime where the folder has a graph for it.

    Raises:
        ModelFolderError: the folder is missing, incomplete, damaged or made by a newer version.
    """
    return Classifier(folder, backend)


def asks_of(
    probabilities: NDArray[np.float64],
    labels: Sequence[str],
    thresholds: NDArray[np.float64],
    multi_label: bool = True,
) -> tuple[str, ...]:
    """The asks that one row of probabilities, shape (labels,), amounts to.

    Multi-label: every label at or above its threshold, in label order. Single-label: the best one.
    """
    if not multi_label:
        return (labels[int(np.argmax(probabilities))],)
    return tuple(
        label for label, p, t in zip(labels, probabilities, thresholds, strict=True) if p >= t
    )


def primary_of(
    probabilities: NDArray[np.float64], asks: Sequence[str], labels: Sequence[str]
) -> str:
    """The most probable of the asks found, first in label order on a tie; `none` without asks."""
    scores = dict(zip(labels, probabilities, strict=True))
    return max(asks, key=lambda ask: scores[ask], default=NONE)
