"""To and from other labelling tools: Label Studio, Argilla, Prodigy, doccano, and CSV."""
