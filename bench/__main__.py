"""``make bench`` runs prediction's; ``python -m bench NAME`` another; ``--help`` lists them."""

import runpy
import sys
from pathlib import Path

NAMES = sorted(p.stem for p in Path(__file__).parent.glob("*.py") if not p.stem.startswith("_"))


def main() -> None:
    """Run the benchmark that the first argument names; the rest is its own."""
    name = sys.argv[1] if len(sys.argv) > 1 else "predict"
    if name not in NAMES:
        sys.exit(f"usage: python -m bench [{' | '.join(NAMES)}]")
    sys.argv = [f"bench {name}", *sys.argv[2:]]
    runpy.run_module(f"bench.{name}", run_name="__main__")


if __name__ == "__main__":
    main()
