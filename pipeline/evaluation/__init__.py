"""From a model folder and labelled messages to a report."""
