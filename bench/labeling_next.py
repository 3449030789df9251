"""How many labels `outreach label next` needs for 95 % of the full-data score, against random.

Usage: python -m bench labeling_next [--seeds 5] [--batch 50] [--output bench/results]

Reads the shipped corpus and nothing else. A quarter of the groups is held out for the score; the
rest is the pool. The learner is the one that `next` uses (TF-IDF and logistic regression); the
score is the mean F1 of the asks at threshold 0.5.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.metrics import f1_score

from bench._corpus import shipped
from pipeline.labeling.learner import features, fit_predict, hits_of
from pipeline.labeling.queue import choose
from pipeline.labeling.split import Item, split
from pipeline.settings import load_settings

STRATEGIES = ("random", "uncertainty", "mixed")


def main() -> None:
    """Draw the curves, print how many labels each took, and write both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--most", type=int, default=3200)
    parser.add_argument("--output", type=Path, default=Path("bench/results"))
    options = parser.parse_args()
    task = load_settings().task
    messages, texts, answers = shipped()
    rows = features(texts)
    hits = hits_of(answers, task)
    items = [
        Item(m["id"], (f"pair:{m['pair']}",) if m["pair"] else (), answer.asks or ("none",))
        for m, answer in zip(messages, answers, strict=True)
    ]
    curves: dict[str, list[list[float]]] = {name: [] for name in STRATEGIES}
    full = []
    for seed in range(options.seeds):
        side = split(items, {"train": 0.75, "test": 0.25}, seed)
        pool = np.array([i for i, m in enumerate(messages) if side[m["id"]] == "train"])
        test = np.array([i for i, m in enumerate(messages) if side[m["id"]] == "test"])
        full.append(score(rows, hits, pool, test))
        for name in STRATEGIES:
            curves[name].append(curve(rows, hits, pool, test, name, seed, options))
            print(f"seed {seed} {name}: {curves[name][-1][-1]:.3f} of {full[-1]:.3f}", flush=True)
    report(curves, full, options)


def score(rows, hits, known, test) -> float:
    """Mean F1 of the asks on the test rows after learning from the known ones."""
    found = fit_predict(rows[known], hits[known], rows[test], multi_label=True) >= 0.5
    return float(f1_score(hits[test], found, average="macro", zero_division=0))


def curve(rows, hits, pool, test, by, seed, options) -> list[float]:
    """The score after each batch; the first batch is random for every strategy."""
    known = list(np.random.default_rng(seed).permutation(pool)[: options.batch])
    scores = [score(rows, hits, known, test)]
    while len(known) < min(options.most, len(pool)):
        open_ = np.setdiff1d(pool, known)
        guess = fit_predict(rows[known], hits[known], rows[open_], multi_label=True)
        count = min(options.batch, len(open_))
        nobody = np.zeros(len(open_))
        chosen = choose(
            rows[open_], rows[known], guess, nobody, count, by, seed=seed, multi_label=True
        )
        known += [int(open_[i]) for i, _, _ in chosen]
        scores.append(score(rows, hits, known, test))
    return scores


def report(curves, full, options) -> None:
    """Print and write the figures and the plot."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "labeling_next"  # the same figures, the same file
    from matplotlib import pyplot as plt

    goal = 0.95 * np.array(full)
    labels = options.batch * np.arange(1, 1 + len(curves["random"][0]))
    needed = {}
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    colours = {"random": "#777777", "uncertainty": "#14595b", "mixed": "#c2571a"}
    for name, runs in curves.items():
        table = np.array(runs)
        reached = [
            int(labels[np.argmax(run >= g)]) if (run >= g).any() else None
            for run, g in zip(table, goal, strict=True)
        ]
        needed[name] = reached
        axes.plot(labels, table.mean(axis=0), color=colours[name], label=name)
        low, high = table.min(axis=0), table.max(axis=0)
        axes.fill_between(labels, low, high, color=colours[name], alpha=0.15, linewidth=0)
    axes.axhline(goal.mean(), color="black", linewidth=0.8, linestyle="--")
    axes.text(labels[0], goal.mean() + 0.01, "95 % of the score with all labels", va="bottom")
    axes.set(xlabel="labelled messages", ylabel="mean F1 of the asks (held out)")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    options.output.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output / "labeling_next.svg", metadata={"Date": None})
    result = {
        "full": full,
        "labels_to_95_percent": needed,
        "mean": {
            name: None if None in reached else float(np.mean(reached))
            for name, reached in needed.items()
        },
        "batch": options.batch,
    }
    everything = {**result, "curves": curves}
    (options.output / "labeling_next.json").write_text(json.dumps(everything, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
