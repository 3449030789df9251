"""What tests of fine-tuning share: encoded messages and settings, without a stage around them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.inference.encoding import Encoder
from pipeline.records import LabelledMessage
from pipeline.settings import Settings
from pipeline.training.examples import Examples, open_examples, write_examples
from tests.conftest import LABELS, invented_messages


def labelled(count: int = 96, seed: int = 1) -> list[LabelledMessage]:
    """Invented messages with their labels as targets."""
    return [
        LabelledMessage(
            str(row["id"]),
            str(row["text"]),
            asks=tuple(row["asks"]),  # type: ignore[arg-type]
            targets=tuple(float(label in row["asks"]) for label in LABELS),  # type: ignore[operator]
        )
        for row in invented_messages(count, seed)
    ]


@pytest.fixture(scope="session")
def split(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Examples, Examples]:
    """96 messages to learn from and 48 others to measure on."""
    encode = Encoder(tiny_base / "tokenizer.json", 48)
    folder = tmp_path_factory.mktemp("examples")
    write_examples(labelled(96, seed=1), encode, folder / "train")
    write_examples(labelled(48, seed=2), encode, folder / "validation")
    return open_examples(folder / "train"), open_examples(folder / "validation")


@pytest.fixture
def options(make_settings: Callable[..., Settings], tmp_path: Path) -> Callable[..., Settings]:
    """Settings that differ in training: `options(epochs=1)`; dropout is on, nothing is tracked."""

    def make(**training: object) -> Settings:
        return make_settings(tmp_path, training={"epochs": 1, "report_to": [], **training})

    return make
