"""One peer, trained and asked in a process of its own: ``python bench/_peers.py NAME TASK OUT``.

Reads TASK (what `bench/quality.py` wrote: task.json and rows of train, test …), writes one array of
probabilities a set and facts.json into OUT. It imports only NumPy and the peer, so that it runs in
the peer's own environment.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Texts = list[str]
Predict = Callable[[Texts], "np.ndarray[Any, Any]"]
SEED = 13
MOST_STEPS = 300
"""Of SetFit, each of 16 pairs, unless there are few messages."""
FEW = 2000


def main() -> None:
    """Train, ask, write."""
    name, task_dir, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    task = json.loads((task_dir / "task.json").read_text(encoding="utf-8"))
    texts, targets = rows(task_dir / "train.jsonl")
    started, busy = time.perf_counter(), time.process_time()
    predict, size = PEERS[name](task, texts, targets)
    facts: dict[str, Any] = {
        "train_seconds": time.perf_counter() - started,
        "train_cpu_seconds": time.process_time() - busy,
        "bytes": size,
    }
    predict(texts[:8])  # warm up
    for path in sorted(task_dir.glob("*.jsonl")):
        if path.stem == "train":
            continue
        asked, _ = rows(path)
        started = time.perf_counter()
        found = np.asarray(predict(asked), np.float64)
        facts[f"{path.stem}_per_second"] = len(asked) / (time.perf_counter() - started)
        assert found.shape == (len(asked), len(task["labels"])), found.shape
        np.save(out / f"{path.stem}.npy", found)
    (out / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def rows(path: Path) -> tuple[Texts, np.ndarray[Any, Any]]:
    """Texts, and targets of shape (rows, labels)."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row["text"] for row in found], np.array([row["targets"] for row in found])


def tfidf(task: Any, texts: Texts, targets: Any) -> tuple[Predict, int]:
    """TF-IDF of words and word pairs, one logistic regression a label."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2 if len(texts) > 1000 else 1)
    features = words.fit_transform(texts)
    head = _regressions(features, targets, task, c=10)
    size = features.shape[1] * (4 * len(task["labels"]) + 16)
    return (lambda asked: head(words.transform(asked))), size


def embedding(task: Any, texts: Texts, targets: Any) -> tuple[Predict, int]:
    """The base as it comes, mean over tokens, one logistic regression a label."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(task["base"])
    model = AutoModel.from_pretrained(task["base"]).eval()

    def embed(asked: Texts) -> Any:
        found: Any = np.empty((len(asked), model.config.hidden_size), np.float32)
        order = np.argsort([len(text) for text in asked])
        with torch.inference_mode():
            for part in np.array_split(order, -(-len(asked) // 32)):
                inputs = tokenizer(
                    [asked[i] for i in part],
                    padding=True,
                    truncation=True,
                    max_length=task["max_length"],
                    return_tensors="pt",
                )
                mask = inputs["attention_mask"][..., None]
                states = model(**inputs).last_hidden_state
                mean = (states * mask).sum(1) / mask.sum(1)
                found[part] = torch.nn.functional.normalize(mean, dim=1).numpy()
        return found

    head = _regressions(embed(texts), targets, task, c=10)
    return (lambda asked: head(embed(asked))), _bytes(Path(task["base"]) / "model.safetensors")


def trainer(task: Any, texts: Texts, targets: Any) -> tuple[Predict, int]:
    """The plain Trainer as run_classification.py sets it: its defaults, fixed padding to 128."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(42)
    tokenizer = AutoTokenizer.from_pretrained(task["base"])
    several = task["multi_label"]
    model = AutoModelForSequenceClassification.from_pretrained(
        task["base"],
        num_labels=len(task["labels"]),
        problem_type="multi_label_classification" if several else "single_label_classification",
    )

    def encoded(asked: Texts, answers: Any = None) -> list[dict[str, Any]]:
        inputs = tokenizer(asked, padding="max_length", truncation=True, max_length=128)
        found = []
        for i in range(len(asked)):
            row = {key: inputs[key][i] for key in inputs}
            if answers is not None:
                row["labels"] = answers[i]
            found.append(row)
        return found

    answers: list[Any] = (
        (targets >= 0.5).astype(float).tolist() if several else targets.argmax(1).tolist()
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            use_cpu=not torch.cuda.is_available(),
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        )  # the defaults: 3 epochs, batches of 8, 5e-5 falling to 0
        tuner = Trainer(model, arguments, train_dataset=encoded(texts, answers))  # type: ignore[arg-type]
        tuner.train()

    def predict(asked: Texts) -> Any:
        logits = tuner.predict(encoded(asked)).predictions  # type: ignore[arg-type]
        return _sigmoid(logits) if several else _softmax(logits)

    return predict, sum(p.numel() for p in model.parameters()) * 4


def setfit(task: Any, texts: Texts, targets: Any) -> tuple[Predict, int]:
    """SetFit: contrastive pairs, then logistic regression; pairs capped where there are many."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    several = task["multi_label"]
    model = SetFitModel.from_pretrained(
        task["base"], multi_target_strategy="one-vs-rest" if several else None
    )
    model.model_body.max_seq_length = task["max_length"]
    answers = (targets >= 0.5).astype(int).tolist() if several else targets.argmax(1).tolist()
    data = Dataset.from_dict({"text": texts, "label": answers})
    # By default it takes all pairs, which grow with the square of the messages; where these are
    # few, its own paper's 20 iterations. Beyond some thousand pairs only time grows.
    few = len(texts) < FEW
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_iterations=20 if few else 1,
            max_steps=-1 if few else MOST_STEPS,
            seed=SEED,
            report_to="none",
            save_strategy="no",
            show_progress_bar=False,
        )
        Trainer(model=model, args=arguments, train_dataset=data).train()

    def predict(asked: Texts) -> Any:
        found = np.asarray(model.predict_proba(asked, as_numpy=True, batch_size=32))
        if found.ndim == 3:  # multi-output heads: (labels, rows, no and yes)
            return found[..., 1].T
        full = np.zeros((len(asked), len(task["labels"])))
        full[:, np.arange(found.shape[1]) if several else _classes(model.model_head)] = found
        return full

    return predict, _bytes(Path(task["base"]) / "model.safetensors")


def spacy(task: Any, texts: Texts, targets: Any) -> tuple[Predict, int]:
    """A spaCy text classifier on a blank English pipeline, with the ensemble that its docs give."""
    import random

    import spacy as library
    from spacy.training import Example
    from spacy.util import compounding, minibatch

    library.util.fix_random_seed(SEED)
    nlp = library.blank("en")
    several = task["multi_label"]
    pipe = nlp.add_pipe("textcat_multilabel" if several else "textcat")
    names = [f"L{i}" for i in range(len(task["labels"]))]
    for name in names:
        pipe.add_label(name)
    hits = targets >= 0.5 if several else targets == targets.max(axis=1, keepdims=True)
    examples = [
        Example.from_dict(
            nlp.make_doc(text), {"cats": {n: float(hit) for n, hit in zip(names, row, strict=True)}}
        )
        for text, row in zip(texts, hits, strict=True)
    ]
    optimizer = nlp.initialize(lambda: examples)
    rng = random.Random(SEED)
    for _ in range(10):
        rng.shuffle(examples)
        for batch in minibatch(examples, size=compounding(4.0, 32.0, 1.001)):
            nlp.update(batch, sgd=optimizer, drop=0.2)

    def predict(asked: Texts) -> Any:
        return np.array([[doc.cats[name] for name in names] for doc in nlp.pipe(asked)])

    return predict, len(nlp.to_bytes())


def fasttext(task: Any, texts: Texts, targets: Any) -> tuple[Predict, int]:
    """By a kept fork of fastText: word pairs, 25 epochs, one against the rest."""
    import fasttext as library

    several = task["multi_label"]
    hits = targets >= 0.5 if several else targets == targets.max(axis=1, keepdims=True)

    def line(text: str) -> str:
        return " ".join(text.lower().split())

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        with path.open("w", encoding="utf-8") as out:
            for text, row in zip(texts, hits, strict=True):
                marks = [f"__label__{i}" for i in np.flatnonzero(row)] or ["__label__none"]
                out.write(" ".join(marks) + " " + line(text) + "\n")
        model = library.train_supervised(
            str(path),
            epoch=25,
            lr=0.5,
            wordNgrams=2,
            loss="ova" if several else "softmax",
            thread=2,
            seed=SEED,
            verbose=0,
        )
        model.save_model(str(Path(folder) / "model.bin"))
        size = _bytes(Path(folder) / "model.bin")

    def predict(asked: Texts) -> Any:
        found = np.zeros((len(asked), len(task["labels"])))
        marks, scores = model.predict([line(text) for text in asked], k=-1)
        for row, names, values in zip(found, marks, scores, strict=True):
            for name, value in zip(names, values, strict=True):
                if not name.endswith("none"):
                    row[int(name.removeprefix("__label__"))] = min(1.0, float(value))
        return found

    return predict, size


def model2vec(task: Any, texts: Texts, targets: Any) -> tuple[Predict, int]:
    """model2vec: static vectors distilled from the base, with its own classifier on them."""
    from model2vec.distill import distill
    from model2vec.train import StaticModelForClassification

    several = task["multi_label"]
    static = distill(task["base"])
    model = StaticModelForClassification.from_static_model(model=static)
    if several:
        answers: Any = [[str(i) for i in np.flatnonzero(row >= 0.5)] for row in targets]
    else:
        answers = [str(i) for i in targets.argmax(axis=1)]
    model.fit(texts, answers)
    places = [int(name) for name in model.classes_]

    def predict(asked: Texts) -> Any:
        found = np.zeros((len(asked), len(task["labels"])))
        found[:, places] = model.predict_proba(asked)
        return found

    return predict, int(static.embedding.nbytes)


def _regressions(features: Any, targets: Any, task: Any, c: float) -> Predict:
    from sklearn.linear_model import LogisticRegression

    if task["multi_label"]:
        heads = [LogisticRegression(C=c, max_iter=1000).fit(features, t >= 0.5) for t in targets.T]
        return lambda found: np.column_stack([h.predict_proba(found)[:, 1] for h in heads])
    head = LogisticRegression(C=c, max_iter=1000).fit(features, targets.argmax(axis=1))

    def predict(found: Any) -> Any:
        full = np.zeros((found.shape[0], len(task["labels"])))
        full[:, head.classes_] = head.predict_proba(found)
        return full

    return predict


def _classes(head: Any) -> Any:
    return np.asarray(head.classes_)


def _sigmoid(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))


def _softmax(logits: Any) -> Any:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _bytes(path: Path) -> int:
    return path.stat().st_size


PEERS = {
    "tfidf": tfidf,
    "embedding": embedding,
    "trainer": trainer,
    "setfit": setfit,
    "spacy": spacy,
    "fasttext": fasttext,
    "model2vec": model2vec,
}

if __name__ == "__main__":
    main()
