"""From labelled messages to a model folder."""
