"""What tests share: a real tiny base model, a small invented corpus, and a model trained on it.

Nothing here is a mock. The base is a two-layer BERT with random weights and a vocabulary of its
own; the corpus is easy on purpose, so that the tiny model learns it in seconds.
"""

import json
import os
import random
import re
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from pipeline.settings import Settings, parse_settings

os.environ["OMP_NUM_THREADS"] = "1"  # the tiny model gains nothing from more, and tests run abreast
os.environ["HF_HUB_OFFLINE"] = "1"

# A busy machine may take its time; a hang is caught by the timeout of the whole test.
hypothesis_settings.register_profile("patient", deadline=None)
hypothesis_settings.load_profile("patient")

LABELS = ["information", "influence", "job_lead"]
_ASKS = {
    "information": ["what is it like to work in", "may I ask how you learned", "could you explain"],
    "influence": [
        "could you introduce me to",
        "please recommend me for",
        "would you vouch for me at",
    ],
    "job_lead": ["are you hiring in", "please consider me for a post in", "any openings in"],
}
_PLACES = ["the museum", "the clinic", "the harbour", "the library", "the foundry", "the orchard"]
_OPENINGS = ["Dear Ms Vale,", "Hello,", "Good morning,", "Hi Joss,", ""]
_FILLERS = ["I hope you are well.", "It rained all week.", "Thank you for the letter.", "See you."]


def invented_messages(count: int = 240, seed: int = 1) -> list[dict[str, object]]:
    """Rows with id, text, subject, channel and asks; every fourth asks nothing, some ask twice."""
    rng = random.Random(seed)
    rows: list[dict[str, object]] = []
    for i in range(count):
        asks = [] if i % 4 == 3 else [LABELS[i % 4]]
        if i % 8 == 0:
            asks = [*asks, LABELS[(i + 1) % 3]]
        sentences = [f"{rng.choice(_ASKS[a])} {rng.choice(_PLACES)}?" for a in asks]
        text = " ".join([rng.choice(_OPENINGS), *sentences, rng.choice(_FILLERS), f"No {i}."])
        rows.append(
            {
                "id": f"t{i:03}",
                "channel": ("email", "linkedin", "dm")[i % 3],
                "subject": "A question" if i % 5 == 0 else "",
                "text": text.strip(),
                "pair": "",
                "relation": ("stranger", "known")[i % 2],
                "career_stage": "early",
                "cues": ["alma_mater"] if i % 6 == 0 else [],
                "asks": sorted(set(asks), key=LABELS.index),
            }
        )
    return rows


def write_jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write rows as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a downloaded base model: two layers, random weights, its own WordPiece."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny_base")
    # Written out, not trained: the trainer breaks ties by chance, and each vocabulary is another
    # model, of which some miss an ask that the tests are about.
    words = {w for row in invented_messages() for w in re.findall(r"\w+", str(row["text"]).lower())}
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    pieces = [*letters, *(f"##{letter}" for letter in letters), *sorted(words - set(letters))]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*special, *pieces]) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64)
    tokenizer.save_pretrained(folder)
    _pad_and_cut(folder / "tokenizer.json", 48)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=64,
        initializer_range=0.1,  # large enough that random word embeddings tell words apart
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def _pad_and_cut(tokenizer: Path, length: int) -> None:
    """As published sentence encoders' files do, the packaged base's among them."""
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(tokenizer))
    found.enable_padding(length=length)
    found.enable_truncation(length)
    found.save(str(tokenizer))


@pytest.fixture(scope="session")
def make_settings(tiny_base: Path) -> Callable[..., Settings]:
    """Settings for a run in its own folder: `make_settings(folder, training={"epochs": 1})`."""

    def make(folder: Path, **sections: dict[str, object]) -> Settings:
        rows = invented_messages()
        write_jsonl(folder / "messages.jsonl", rows)
        notes = [
            {"message": r["id"], "annotator": who, "asks": r["asks"]} for r in rows for who in "ab"
        ]
        write_jsonl(folder / "annotations.jsonl", notes)  # type: ignore[arg-type]
        values: dict[str, object] = {
            "name": "tiny",
            "task": {"labels": LABELS},
            "data": {
                "messages": [str(folder / "messages.jsonl")],
                "annotations": [str(folder / "annotations.jsonl")],
                "processed": str(folder / "processed"),
            },
            "label": {"validation": 0.2, "test": 0.2},
            "training": {
                "base": str(tiny_base),
                "max_length": 48,
                "epochs": 8,
                "batch_size": 8,
                "learning_rate": 2e-3,
                "head_learning_rate": 5e-3,
                "frozen_layers": -1,
                "device": "cpu",
                "precision": "float32",  # the same on every machine
            },
            "evaluation": {"bootstrap": 50, "swapped_messages": 20},
            "models": str(folder / "models"),
        }
        for name, section in sections.items():
            old = values.get(name)
            values[name] = {**old, **section} if isinstance(old, dict) else section
        return parse_settings(values)

    return make


@pytest.fixture(scope="session")
def trained(
    make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings whose stages have all run once: messages, labels, a tiny real model, a report."""
    from pipeline.stages import run

    settings = make_settings(tmp_path_factory.mktemp("trained"))
    list(run(settings))
    return settings
