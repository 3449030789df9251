"""One folder, every loader: ours, transformers and ONNX Runtime give the same calibrated scores."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.errors import InputError, ModelFolderError
from pipeline.records import render
from pipeline.settings import Settings
from tests.conftest import LABELS, invented_messages

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
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx")
    rows = []
    for text in TEXTS:
        ids = np.array([tokenizer.encode(text).ids])
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        rows.append(1 / (1 + np.exp(-session.run(["logits"], feed)[0][0])))
    return np.array(rows)


def test_all_loaders_agree(trained: Settings) -> None:
    ours = pipeline.load(trained.model_dir, backend="onnx").predict_proba(TEXTS)
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
@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_damaged_folder_says_what_is_wrong(
    copied: Path, damage: object, words: str, with_manifest: bool
) -> None:
    damage(copied)  # type: ignore[operator]
    if not with_manifest:  # a download of only the files that some loader wanted
        (copied / "manifest.json").unlink(missing_ok=True)
    elif damage in (damage_tokenizer, damage_graph):
        words = r"(tokenizer\.json|model\.onnx): altered since the model was made"
    with pytest.raises(ModelFolderError, match=words):
        pipeline.load(copied, backend="onnx")


@pytest.mark.parametrize("name", ["outreach.json", "tokenizer.json", "onnx/model.onnx"])
def test_one_altered_byte_is_noticed(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    at = content.find(b'"names": false') + 13 if name == "outreach.json" else len(content) // 2
    content[at] = ord(" ") if name == "outreach.json" else content[at] ^ 1
    (copied / name).write_bytes(content)
    if name == "outreach.json":
        (copied / name).write_text((copied / name).read_text().replace("fals ", "true"))
    with pytest.raises(ModelFolderError, match="altered since the model was made"):
        pipeline.load(copied, backend="onnx")


def test_verify_looks_at_files_that_are_not_opened(copied: Path) -> None:
    weights = copied / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    pipeline.load(copied, backend="onnx")
    with pytest.raises(ModelFolderError, match=r"model\.safetensors: altered"):
        pipeline.load(copied, backend="onnx", verify=True)


def test_a_cpu_without_int8_is_told_and_auto_goes_on(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copied / "manifest.json").unlink()
    shutil.copy(copied / "onnx" / "model.onnx", copied / "onnx" / "model_quantized.onnx")
    monkeypatch.setattr("pipeline.inference.backends.has_int8", lambda: False)
    assert pipeline.load(copied).backend == "onnx"
    with pytest.raises(InputError, match="this CPU has no 8-bit dot product"):
        pipeline.load(copied, backend="onnx-int8")


def test_a_graph_that_is_not_there_is_named(copied: Path) -> None:
    (copied / "onnx" / "model_quantized.onnx").unlink(missing_ok=True)
    with pytest.raises(ModelFolderError, match=r"has no onnx/model_quantized\.onnx"):
        pipeline.load(copied, backend="onnx-int8")


def test_speed_without_a_student_is_explained(copied: Path) -> None:
    shutil.rmtree(copied / "student")
    with pytest.raises(ModelFolderError, match=r"has no student \(student/student\.npz\)"):
        pipeline.load(copied, speed="fast")


def test_a_damaged_student_is_explained(copied: Path) -> None:
    (copied / "manifest.json").unlink()
    (copied / "student" / "student.npz").write_bytes(b"PK nothing")
    with pytest.raises(ModelFolderError, match="not a student"):
        pipeline.load(copied, speed="balanced")


def test_damaged_weights_are_explained(copied: Path) -> None:
    (copied / "manifest.json").unlink()
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
