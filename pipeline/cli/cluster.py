"""`outreach predict --engine ray`, in words."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli.console import TerminalProgress, err
from pipeline.errors import SettingsError

if TYPE_CHECKING:
    from pipeline.settings import Columns


def predict_on_ray(
    inputs: list[str],
    model: Path,
    output: Path | None,
    columns: "Columns | None",
    workers: int | None,
    shard: int,
    loading: dict[str, Any],
    min_confidence: float,
) -> None:
    """Answer tables on a Ray cluster, and say how many and how fast."""
    from pipeline.inference.classifier import load
    from pipeline.inference.distributed import Job
    from pipeline.inference.distributed import predict_on_ray as run
    from pipeline.settings import Columns

    if output is None:
        raise SettingsError("--engine ray: say with --output which folder the answers go to.")
    folder = load(model, **loading).folder.absolute()  # what is wrong with it is said here, once
    job = Job(str(folder), (columns or Columns()).model_dump(), loading, min_confidence)
    paths = [Path(given).absolute() for given in inputs]
    done = run(
        paths,
        output,
        job,
        workers=workers,
        records_per_shard=shard,
        progress=TerminalProgress(),
    )
    if done.found_done:
        err.print(f"{done.found_done} of {done.shards} shards were there from an earlier run.")
    rate = done.answered / done.seconds if done.answered else 0
    err.print(
        f"{done.answered:,} messages answered in {done.seconds:.1f} s ({rate:,.0f} a second, the "
        f"cluster's start included), {done.rejected:,} records rejected → {output}",
        markup=False,
    )
