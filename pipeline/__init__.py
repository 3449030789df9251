"""outreach-intent: what does an outreach message ask of its reader?

The public names are loaded on first use, so that ``import pipeline`` costs nothing::

    import pipeline

    clf = pipeline.load("models/default")
    clf.predict(["Could you introduce me to your editor?"])[0].primary  # 'influence'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "AsyncClassifier",
    "Classifier",
    "OutreachClassifier",
    "Prediction",
    "__version__",
    "load",
]

if TYPE_CHECKING:
    from pipeline.inference.batching import AsyncClassifier
    from pipeline.inference.classifier import Classifier, load
    from pipeline.inference.estimator import OutreachClassifier
    from pipeline.records import Prediction

_HOMES = {
    "AsyncClassifier": "pipeline.inference.batching",
    "Classifier": "pipeline.inference.classifier",
    "OutreachClassifier": "pipeline.inference.estimator",
    "Prediction": "pipeline.records",
    "load": "pipeline.inference.classifier",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
