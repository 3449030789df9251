"""How many of the label errors it is given `outreach label issues` finds.

Usage: python -m bench labeling_issues [--seeds 5] [--share 0.05] [--output bench/results]

Takes the shipped corpus and makes errors in two ways. `nobody_objects`: a share of the messages
gets another message's label, and all its annotators say so. `one_errs`: a share of the single
answers is replaced by another one, and then all are resolved anew; an error is a message whose
label that changed. It looks how many of the listed messages are errors (precision) and how many
errors are listed (recall); beside it stand as many messages by plain loss, what cleanlab flags by
default, and chance. Average precision (ap) says how good the whole order is.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from bench._corpus import log, shipped
from pipeline.labeling.issues import label_quality, outvoted, votes_of
from pipeline.labeling.learner import features, held_out, hits_of
from pipeline.labeling.resolve import ballots, resolve
from pipeline.settings import load_settings


def main() -> None:
    """Make errors, look for them in several ways, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--output", type=Path, default=Path("bench/results"))
    options = parser.parse_args()
    task = load_settings().task
    messages, texts, answers = shipped()
    rows = features(texts)
    truth = hits_of(answers, task)
    groups = [m["pair"] or m["id"] for m in messages]
    runs: dict[str, list] = {"nobody_objects": [], "one_errs": []}
    for seed in range(options.seeds):
        rng = np.random.default_rng(seed)
        given, wrong = seeded(truth, options.share, rng)
        nobody = np.array([[*row, 1] for row in given.astype(int)])
        runs["nobody_objects"].append(
            measure(given, held_out(rows, given, groups, multi_label=True), nobody, wrong)
        )
        annotations = with_slips(log(), options.share, rng)
        found = resolve(annotations, task)
        given = hits_of([found[m["id"]] for m in messages], task)
        cast = ballots(annotations, task)
        votes = votes_of([cast[m["id"]] for m in messages], task)
        wrong = (given != truth).any(axis=1)
        scores = held_out(rows, given, groups, multi_label=True)
        runs["one_errs"].append(measure(given, scores, votes, wrong))
        print(json.dumps({name: run[-1] for name, run in runs.items()}), flush=True)
    result = {name: median(run) for name, run in runs.items()}
    print(json.dumps({"median": result}, indent=2))
    options.output.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"median": result, "runs": runs}, indent=2) + "\n"
    (options.output / "labeling_issues.json").write_text(content)


def measure(given, scores, votes, wrong) -> dict[str, dict[str, float]]:
    """What each way of looking finds."""
    from cleanlab.multilabel_classification.filter import find_label_issues

    safe = np.clip(scores, 1e-6, 1 - 1e-6)
    loss = -(given * np.log(safe) + (~given) * np.log(1 - safe)).sum(axis=1)
    quality, flagged = label_quality(given, scores, multi_label=True)
    against = outvoted(given, scores, votes)
    listed = flagged | (against > 0.5)
    ours = np.where(against > 0.5, 1 + against, 1 - quality)  # the order of `find_issues`
    default = find_label_issues([np.flatnonzero(r).tolist() for r in given], scores, n_jobs=1)
    return {
        "ours": found(listed, wrong, ours),
        "loss": found(top(loss, int(listed.sum())), wrong, loss),
        "cleanlab_default": found(np.asarray(default), wrong, 1 - quality),
        "outvoted_alone": found(against > 0.5, wrong, against),
        "random": {"listed": float(listed.sum()), "precision": float(wrong.mean()),
                   "recall": float(listed.mean()), "ap": float(wrong.mean())},
    }  # fmt: skip


def top(score, count):
    """Which rows are the `count` highest."""
    chosen = np.zeros(len(score), dtype=bool)
    chosen[np.argsort(-score, kind="stable")[:count]] = True
    return chosen


def with_slips(annotations, share, rng):
    """The log with a share of its answers replaced by other answers from it."""
    slips = set(rng.choice(len(annotations), round(share * len(annotations)), replace=False))
    result = []
    for i, annotation in enumerate(annotations):
        other = annotation
        while i in slips and other.asks == annotation.asks:
            other = annotations[rng.integers(len(annotations))]
        result.append(replace(annotation, asks=other.asks, primary=other.primary))
    return result


def seeded(truth, share, rng):
    """Labels with a share of them wrong, and which; a wrong one is another message's."""
    given = truth.copy()
    wrong = np.zeros(len(truth), dtype=bool)
    wrong[rng.choice(len(truth), round(share * len(truth)), replace=False)] = True
    for i in np.flatnonzero(wrong):
        others = truth[(truth != truth[i]).any(axis=1)]
        given[i] = others[rng.integers(len(others))]
    return given, wrong


def found(listed, wrong, score) -> dict[str, float]:
    """Precision and recall of the listed rows, and average precision of the order."""
    right = wrong[listed].sum()
    return {
        "listed": float(listed.sum()),
        "precision": float(right / max(listed.sum(), 1)),
        "recall": float(right / max(wrong.sum(), 1)),
        "ap": float(average_precision_score(wrong, score)),
    }


def median(runs) -> dict[str, dict[str, float]]:
    """The median of every figure over the seeds."""
    return {
        way: {
            figure: round(float(np.median([run[way][figure] for run in runs])), 3)
            for figure in runs[0][way]
        }
        for way in runs[0]
    }


if __name__ == "__main__":
    main()
