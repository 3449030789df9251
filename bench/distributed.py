"""Prediction on Ray on this machine, and from its rate what a million messages cost.

The rate is what one core answers in a second of its own time, so that a busy machine tells the same;
loading the model is left out. Prices are yours to give; the defaults are examples of on-demand list
prices a cloud asks for a virtual CPU and for a machine with one GPU.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from pipeline import load
from pipeline.inference.distributed import Job, ShardWorker, predict_on_ray
from pipeline.ingestion.slices import cut
from pipeline.settings import Columns


def main() -> None:
    """Print the rates and the costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/default"))
    parser.add_argument("--messages", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--speed", default="best", choices=["best", "balanced", "fast"])
    parser.add_argument("--cpu-price", type=float, default=0.045, help="an hour of one core")
    parser.add_argument("--gpu-price", type=float, default=0.80, help="an hour of one GPU machine")
    parser.add_argument("--gpu-rate", type=float, help="messages a second, measured on that GPU")
    parser.add_argument("--no-ray", action="store_true", help="only the rate of one worker")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _run(given, Path(folder))


def _run(given: argparse.Namespace, folder: Path) -> None:
    rows = Path("data/raw/messages.jsonl").read_text(encoding="utf-8").splitlines()
    source = folder / "in" / "messages.jsonl"
    source.parent.mkdir()
    with source.open("w", encoding="utf-8") as to:
        for i in range(given.messages):
            to.write(json.dumps({**json.loads(rows[i % len(rows)]), "id": f"{i:07}"}) + "\n")
    model = load(given.model, speed=given.speed).folder.absolute()
    job = Job(str(model), Columns().model_dump(), {"speed": given.speed})

    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # what one core does
    worker = ShardWorker(str(folder / "alone"), job)
    started = time.process_time()  # what the core worked; others on this machine do not count
    for number, piece in enumerate(cut(source, 1000)):
        worker.answer(piece, f"{number}.jsonl")
    alone = given.messages / (time.process_time() - started)
    os.sched_setaffinity(0, cores)
    print(f"one core, no Ray         {alone:8.0f} messages a second of its time")
    if not given.no_ray:
        done = predict_on_ray(
            [source], folder / "out", job, workers=given.workers, records_per_shard=500
        )
        print(
            f"{given.workers} workers on Ray         {done.answered / done.seconds:8.0f} messages a "
            "second, Ray's start and loading included"
        )
    hours = 1e6 / alone / 3600
    print(f"a million messages       {hours:8.2f} core hours")
    print(f"  at {given.cpu_price} an hour of one core: {hours * given.cpu_price:.3f}")
    if given.gpu_rate:
        gpu = 1e6 / given.gpu_rate / 3600
        print(f"  at {given.gpu_price} an hour of a GPU machine: {gpu * given.gpu_price:.3f}")


if __name__ == "__main__":
    main()
