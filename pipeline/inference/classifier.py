"""A trained model, loaded: texts in, calibrated probabilities and asks out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ModelFolderError
from pipeline.inference.backends import Backend, BackendName, open_backend
from pipeline.inference.encoding import Encoder, batches, highest, pad
from pipeline.inference.folder import (
    CONTRACT,
    STUDENT,
    TOKENIZER,
    check_files,
    read_contract,
    recorded_files,
)
from pipeline.records import NONE, UNSURE, Prediction

if TYPE_CHECKING:
    from pipeline.inference.explain import Explanation
    from pipeline.inference.student import Student

Floats = NDArray[np.float64]
Speed = Literal["fast", "balanced", "best"]

CHUNK = 1024
"""Messages that `stream` answers at a time: enough to sort by length, little enough to hold."""


class Classifier:
    """A model folder, ready to use; safe to share between threads, and it pickles by its folder.

    Attributes:
        folder: where it was loaded from.
        speed: `best` asks the transformer, `fast` its student, `balanced` the student first and
            the transformer where the student is unsure.
        labels: the labels, in the order of every array's columns.
        multi_label: whether a message may carry several labels or none.
        thresholds: per label, the probability from which an ask counts; shape (labels,).
        cleaning: how messages are prepared before they are scored. `predict` takes texts as they
            are; `pipeline.inference.stream.predict_stream` prepares messages first.
        version: the version of outreach-intent that trained it.
        encode: texts to token ids, cut at what the model reads.
    """

    def __init__(
        self,
        folder: str | Path,
        backend: BackendName = "auto",
        speed: Speed = "best",
        verify: bool = False,
        threads: int = 0,
    ) -> None:
        """Load a model folder; `load` is the same and reads better.

        Raises:
            ModelFolderError: the folder is missing, incomplete, altered, damaged or too new, or
                has no student for the speed asked for.
        """
        if speed not in get_args(Speed):
            raise ValueError(f"speed: expected one of {', '.join(get_args(Speed))}, found {speed}")
        self.folder = folder = Path(folder)
        self._asked: BackendName = backend
        self._threads = threads
        self.speed: Speed = speed
        contract = read_contract(folder)
        check_files(folder, recorded_files(folder) if verify else (CONTRACT, TOKENIZER))
        self.labels: tuple[str, ...] = contract.task.labels
        self.multi_label: bool = contract.task.multi_label
        self.cleaning = contract.cleaning
        self.version = contract.version
        self.thresholds: Floats = np.array(contract.thresholds)
        self.encode = Encoder(folder / TOKENIZER, contract.max_length, contract.long_messages)
        if speed != "best":
            _ = self._student
        if speed != "fast":
            _ = self._backend

    @cached_property
    def _backend(self) -> Backend:
        return open_backend(self.folder, self._asked, self._threads)

    @cached_property
    def _student(self) -> Student:
        from pipeline.inference.student import Student

        if not (self.folder / STUDENT).is_file():
            raise ModelFolderError(
                f"{self.folder}: has no student ({STUDENT.as_posix()}), which speed "
                f"'{self.speed}' needs; use speed 'best', or train the model again."
            )
        check_files(self.folder, [STUDENT])
        return Student.load(self.folder / STUDENT)

    @property
    def backend(self) -> str:
        """What runs the network: `onnx-int8`, `onnx` or `torch`; `student` for speed `fast`."""
        return "student" if self.speed == "fast" else self._backend.name

    def __reduce__(self) -> tuple[Any, ...]:
        return load, (self.folder, self._asked, self.speed, False, self._threads)

    def __repr__(self) -> str:
        return f"Classifier({str(self.folder)!r}, backend={self.backend!r}, speed={self.speed!r})"

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Calibrated probabilities, shape (texts, labels), columns in label order.

        Multi-label: each column is on its own, between 0 and 1. Single-label: rows add up to 1.
        """
        return probabilities(self.logits(texts), self.multi_label)

    def logits(self, texts: Sequence[str]) -> Floats:
        """Calibrated logits, shape (texts, labels), of whatever `speed` asks."""
        if isinstance(texts, str):
            raise TypeError("expected a list of texts, found one text; put it in a list")
        found: list[Any] = list(texts)
        for number, text in enumerate(found):
            if not isinstance(text, str):
                raise TypeError(f"expected texts, found {type(text).__name__} at {number}")
        if self.speed == "best":
            return self._network(found)
        logits = self._student.logits(self.encode(found))
        if self.speed == "balanced" and found:
            doubtful = np.flatnonzero(
                certainty(logits, self.thresholds, self.multi_label) < self._student.sure_from
            )
            logits[doubtful] = self._network([found[i] for i in doubtful])
        return logits

    def _network(self, texts: Sequence[str]) -> Floats:
        """The transformer's logits; of a message in several windows the highest of each label."""
        windows, owners = self.encode.windows(texts)
        return highest(self._windows(windows), owners, len(texts))

    def _windows(self, encoded: Sequence[Sequence[int]]) -> Floats:
        logits, backend = np.empty((len(encoded), len(self.labels))), self._backend
        places = list(batches([len(ids) for ids in encoded], backend.batch_tokens))

        def answer(batch: list[int]) -> None:
            logits[batch] = backend.logits(*pad([encoded[i] for i in batch]))

        if (abreast := min(backend.abreast, len(places))) > 1:
            with ThreadPoolExecutor(abreast) as threads:
                list(threads.map(answer, places))  # the list raises what a thread raised
        else:
            for batch in places:
                answer(batch)
        return logits

    def predict(
        self, texts: Sequence[str], ids: Sequence[str] | None = None, min_confidence: float = 0.0
    ) -> list[Prediction]:
        """What each text asks for, in order.

        Args:
            texts: rendered messages (`pipeline.records.render` joins subject and body).
            ids: an id per prediction; by default its position, from "0".
            min_confidence: answers with less confidence become `unsure`, without asks.
        """
        rows = self.predict_proba(texts)
        names = ids if ids is not None else [str(i) for i in range(len(rows))]
        answers = decide(rows, self.labels, self.thresholds, self.multi_label)
        found = [
            Prediction(name, primary, asks, dict(zip(self.labels, row, strict=True)))
            for name, (primary, asks), row in zip(
                names, answers, np.round(rows, 6).tolist(), strict=True
            )
        ]
        if min_confidence > 0:
            found = [p if p.confidence >= min_confidence else _unsure(p) for p in found]
        return found

    def stream(self, texts: Iterable[str], min_confidence: float = 0.0) -> Iterator[Prediction]:
        """Answer any number of texts, in order and in constant memory; ids count from "0"."""
        if isinstance(texts, str):
            raise TypeError("expected texts, found one text; put it in a list")
        left, start = iter(texts), 0
        while chunk := list(islice(left, CHUNK)):
            names = [str(start + i) for i in range(len(chunk))]
            yield from self.predict(chunk, names, min_confidence)
            start += len(chunk)

    def explain(
        self,
        texts: Sequence[str],
        words: bool = True,
        predictions: Sequence[Prediction] | None = None,
    ) -> list[Explanation]:
        """Each text's answer with the sentence, and the words in it, that make each ask.

        Args:
            texts: rendered messages.
            words: also look into the sentences found, which doubles the work.
            predictions: the answers to explain, where they are there already.
        """
        from pipeline.inference.explain import explain

        texts = list(texts)
        read = self.encode.read_until(texts)
        answers = self.predict(texts) if predictions is None else predictions
        return explain(self.predict_proba, answers, texts, read, words=words)


def load(
    folder: str | Path,
    backend: BackendName = "auto",
    speed: Speed = "best",
    verify: bool = False,
    threads: int = 0,
) -> Classifier:
    """Load a trained model.

    Args:
        folder: a model folder, such as ``models/default``, or a hub model as
            ``OWNER/NAME@COMMIT``.
        backend: `onnx-int8` and `onnx` need no torch; `torch` runs the weights through
            transformers; `auto` takes the fastest that the folder and the machine have.
        speed: `best`, `balanced` or `fast` (see `Classifier`).
        verify: check every file's digest, not only those that are opened.
        threads: of ONNX Runtime; 0: as many as there are cores for this process.

    Raises:
        ModelFolderError: the folder is missing, incomplete, altered, damaged or made by a newer
            version.
    """
    from pipeline.inference.hub import local_folder

    return Classifier(local_folder(folder), backend, speed, verify, threads)


def probabilities(logits: Floats, multi_label: bool) -> Floats:
    """Logits as probabilities, both of shape (n, labels)."""
    if multi_label:
        return np.asarray(1 / (1 + np.exp(-logits)))
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def decide(
    rows: Floats, labels: Sequence[str], thresholds: Floats, multi_label: bool = True
) -> list[tuple[str, tuple[str, ...]]]:
    """Primary and asks of each row of probabilities, shape (n, labels).

    Multi-label: the asks are the labels at or above their thresholds, in label order; the primary
    is the most probable of them (the first on a tie), or `none`. Single-label: the best label.
    """
    if not multi_label:
        best = [labels[i] for i in rows.argmax(axis=1)] if len(rows) else []
        return [(label, (label,)) for label in best]
    found = rows >= thresholds
    first = np.where(found, rows, -1.0).argmax(axis=1) if len(rows) else []
    return [
        (labels[top], tuple(label for label, is_so in zip(labels, row, strict=True) if is_so))
        if any(row)
        else (NONE, ())
        for row, top in zip(found.tolist(), first, strict=True)
    ]


def certainty(logits: Floats, thresholds: Floats, multi_label: bool) -> Floats:
    """How far each row's answer is from being another one, in logits; shape (n,).

    Multi-label: the distance of the nearest label from its threshold. Single-label: the best
    label's lead.
    """
    if multi_label:
        clipped = np.clip(thresholds, 1e-6, 1 - 1e-6)
        return np.asarray(np.abs(logits - np.log(clipped / (1 - clipped))).min(axis=1))
    best = np.sort(logits, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


def _unsure(prediction: Prediction) -> Prediction:
    return Prediction(prediction.id, UNSURE, (), prediction.scores, prediction.extra)
