"""One folder, every loader: ours, transformers and ONNX Runtime give the same calibrated scores."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import LABELS, invented_messages

import pipeline
from pipeline.errors import ModelFolderError
from pipeline.records import render
from pipeline.settings import Settings

TEXTS = [render(str(r["subject"]), str(r["text"])) for r in invented_messages(50, seed=7)]


@pytest.fixture
def copied(trained: Settings, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(trained.model_dir, folder)
    return folder


def by_transformers(folder: Path) -> np.ndarray:
    from transformers import pipeline as transformers_pipeline

    classify = transformers_pipeline(
        "text-classification", model=str(folder), top_k=None, device="cpu"
    )
    answers = classify(TEXTS, truncation=True)
    return np.array(
        [
            [next(a["score"] for a in row if a["label"] == name) for name in LABELS]
            for row in answers
        ]
    )


def by_onnxruntime(folder: Path) -> np.ndarray:
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(json.loads((folder / "outreach.json").read_text())["max_length"])
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    rows = []
    for text in TEXTS:
        ids = np.array([tokenizer.encode(text).ids])
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        rows.append(1 / (1 + np.exp(-session.run(["logits"], feed)[0][0])))
    return np.array(rows)


def test_all_loaders_agree(trained: Settings) -> None:
    ours = pipeline.load(trained.model_dir).predict_proba(TEXTS)
    others = {
        "torch": pipeline.load(trained.model_dir, backend="torch").predict_proba(TEXTS),
        "transformers": by_transformers(trained.model_dir),
        "onnxruntime": by_onnxruntime(trained.model_dir),
    }
    for name, scores in others.items():
        assert np.abs(scores - ours).max() < 1e-4, name


def test_the_tiny_model_has_learned_its_task(trained: Settings) -> None:
    rows = invented_messages(80, seed=11)
    predictions = pipeline.load(trained.model_dir).predict(
        [render(str(r["subject"]), str(r["text"])) for r in rows]
    )
    right = [list(p.asks) == r["asks"] for p, r in zip(predictions, rows, strict=True)]
    assert np.mean(right) > 0.8


def damage_nothing(folder: Path) -> None:
    shutil.rmtree(folder)


def damage_contract(folder: Path) -> None:
    (folder / "outreach.json").write_text("{")


def damage_format(folder: Path) -> None:
    content = json.loads((folder / "outreach.json").read_text())
    (folder / "outreach.json").write_text(json.dumps({**content, "format": 99}))


def damage_thresholds(folder: Path) -> None:
    content = json.loads((folder / "outreach.json").read_text())
    (folder / "outreach.json").write_text(json.dumps({**content, "thresholds": [0.5]}))


def damage_field(folder: Path) -> None:
    content = json.loads((folder / "outreach.json").read_text())
    (folder / "outreach.json").write_text(json.dumps({**content, "max_length": "long"}))


def damage_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def damage_graph(folder: Path) -> None:
    graph = folder / "onnx" / "model.onnx"
    graph.write_bytes(graph.read_bytes()[: 2 * graph.stat().st_size // 3])


def remove_config(folder: Path) -> None:
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_nothing, "no such model folder"),
        (remove_config, "config.json missing; found"),
        (damage_contract, "damaged"),
        (damage_format, "has layout 99, this version reads layout 1"),
        (damage_thresholds, "3 labels but 1 thresholds"),
        (damage_field, r"damaged \(max_length\)"),
        (damage_tokenizer, "not a tokenizer"),
        (damage_graph, "not a graph that ONNX Runtime can run"),
    ],
)
def test_a_damaged_folder_says_what_is_wrong(copied: Path, damage: object, words: str) -> None:
    damage(copied)  # type: ignore[operator]
    with pytest.raises(ModelFolderError, match=words):
        pipeline.load(copied)


def test_damaged_weights_are_explained(copied: Path) -> None:
    (copied / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelFolderError, match=r"model\.safetensors: cannot be loaded"):
        pipeline.load(copied, backend="torch")


def test_without_a_graph_torch_takes_over(copied: Path) -> None:
    shutil.rmtree(copied / "onnx")
    assert len(pipeline.load(copied).predict(["are you hiring in the clinic?"])) == 1


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    from pipeline.training.quiet import quiet_libraries

    with quiet_libraries():
        yield
