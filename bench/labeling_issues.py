"""How many of the label errors it is given `outreach label issues` finds.

Usage: python -m bench labeling_issues [--seeds 3] [--share 0.05] [--output bench/results]

Takes the shipped corpus, replaces the labels of a share of the messages by another message's, and
looks how many of the flagged messages were changed (precision) and how many of the changed ones
were flagged (recall). Beside it the same number of messages by plain loss, and at random.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from bench._corpus import shipped
from pipeline.labeling.issues import label_quality
from pipeline.labeling.learner import features, held_out, hits_of
from pipeline.settings import load_settings


def main() -> None:
    """Seed errors, look for them three ways, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--output", type=Path, default=Path("bench/results"))
    options = parser.parse_args()
    task = load_settings().task
    messages, texts, answers = shipped()
    rows = features(texts)
    truth = hits_of(answers, task)
    groups = [m["pair"] or m["id"] for m in messages]
    results = []
    for seed in range(options.seeds):
        given, wrong = seeded(truth, options.share, np.random.default_rng(seed))
        scores = held_out(rows, given, groups, multi_label=True)
        quality, flagged = label_quality(given, scores, multi_label=True)
        count = int(flagged.sum())
        safe = np.clip(scores, 1e-6, 1 - 1e-6)
        loss = -(given * np.log(safe) + (~given) * np.log(1 - safe)).sum(axis=1)
        by_loss = np.argsort(-loss)
        by_quality = np.argsort(quality)
        k = int(wrong.sum())
        results.append(
            {
                "seeded": k,
                "flagged": count,
                "cleanlab": found(np.flatnonzero(flagged), wrong),
                "loss": found(by_loss[:count], wrong),
                "random": {"precision": float(wrong.mean()), "recall": count / len(wrong)},
                "cleanlab_first_as_many_as_seeded": found(by_quality[:k], wrong),
                "loss_first_as_many_as_seeded": found(by_loss[:k], wrong),
            }
        )
        print(json.dumps(results[-1]), flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "labeling_issues.json").write_text(json.dumps(results, indent=2) + "\n")


def seeded(truth, share, rng):
    """Labels with a share of them wrong, and which; a wrong one is another message's."""
    given = truth.copy()
    wrong = np.zeros(len(truth), dtype=bool)
    wrong[rng.choice(len(truth), round(share * len(truth)), replace=False)] = True
    for i in np.flatnonzero(wrong):
        others = truth[(truth != truth[i]).any(axis=1)]
        given[i] = others[rng.integers(len(others))]
    return given, wrong


def found(chosen, wrong) -> dict[str, float]:
    """Precision and recall of the chosen rows."""
    right = wrong[chosen].sum()
    return {
        "precision": float(right / max(len(chosen), 1)),
        "recall": float(right / max(wrong.sum(), 1)),
    }


if __name__ == "__main__":
    main()
