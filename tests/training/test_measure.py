"""What calibration rests on: what the saved model will say, long messages included."""

import numpy as np
import pytest

import pipeline
from pipeline.inference.encoding import Encoder
from pipeline.inference.folder import TOKENIZER
from pipeline.records import LabelledMessage, render
from pipeline.settings import Settings
from pipeline.store import read_records
from pipeline.training.finetune import load_weights
from pipeline.training.measure import calibrated, logits_of_texts


@pytest.fixture(scope="module")
def messages(trained: Settings) -> list[LabelledMessage]:
    return read_records(trained.label_dir / "validation.parquet", LabelledMessage)


@pytest.mark.parametrize("long_messages", ["head", "windows"])
def test_long_messages_are_read_as_in_use(
    trained: Settings, messages: list[LabelledMessage], long_messages: str
) -> None:
    saved = pipeline.load(trained.model_dir, backend="onnx")
    limit = trained.training.max_length
    encode = Encoder(trained.model_dir / TOKENIZER, limit, long_messages)  # type: ignore[arg-type]
    long = " ".join(m.text for m in messages[:20])
    texts = [long, messages[0].text]
    here = logits_of_texts(load_weights(trained.model_dir), encode, texts)
    same = np.abs(here - saved.logits(texts)).max(axis=1) < 1e-3
    assert len(encode([long])[0]) == limit
    assert same.tolist() == [long_messages == "windows", True]


def test_what_is_said_of_held_out_messages_is_what_the_changed_model_says(
    trained: Settings, messages: list[LabelledMessage]
) -> None:
    model = load_weights(trained.model_dir)
    encode = Encoder(trained.model_dir / TOKENIZER, trained.training.max_length)
    found = calibrated(model, encode, messages, np.ones(len(messages)), multi_label=True)
    texts = [render(m.subject, m.text) for m in messages]
    assert found.texts == texts
    assert np.allclose(found.logits, logits_of_texts(model, encode, texts), atol=1e-4)
    assert found.thresholds.shape == (len(trained.task.labels),) == (len(found.f1),)
