"""From a model folder and new messages to predictions; needs no torch."""
