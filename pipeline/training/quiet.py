"""Keeping the libraries' own bars and remarks off the screen while ours are on it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep transformers' own bars and remarks off the screen while ours are on it."""
    before = transformers_logging.get_verbosity()
    logging.disable(logging.WARNING)  # torch's exporter warns of what our models do not use
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
        transformers_logging.set_verbosity(before)
        transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
