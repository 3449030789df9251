"""The classifier as a Spark function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeline.inference.classifier import load
from pipeline.ingestion.prepare import prepare
from pipeline.records import Message, render

if TYPE_CHECKING:
    import pandas as pd


def predict_udf(model: str, **loading: Any) -> Any:
    """A pandas UDF: a column of texts, and one of subjects if you have it, to predictions.

    ::

        ask = predict_udf("models/default")
        messages.withColumn("answer", ask("text", "subject")).select("id", "answer.*")

    The result is a struct of ``primary`` (string), ``asks`` (array of strings) and ``scores`` (map
    of label to probability); null texts give null. Messages are prepared as in training. Each
    Python worker loads the model once; the folder must be at the same path on every executor, and
    outreach-intent installed there.

    Args:
        model: a model folder, or a hub model as ``OWNER/NAME@COMMIT``.
        loading: more arguments for `pipeline.load`.
    """
    import pandas as pd
    from pyspark.sql.functions import pandas_udf

    def answers(columns: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        classifier = load(model, **loading)
        for texts, *subjects in columns:
            titles = subjects[0] if subjects else [""] * len(texts)
            there = texts.notna()
            rows = []
            for text, subject in zip(texts[there], pd.Series(titles)[there.values], strict=True):
                message = Message("", text, subject if isinstance(subject, str) else "")
                message = prepare(message, classifier.cleaning)
                rows.append(render(message.subject, message.text))
            found = iter(classifier.predict(rows))
            given = (next(found) if is_text else None for is_text in there)
            yield pd.DataFrame(
                [
                    {"primary": p.primary, "asks": list(p.asks), "scores": p.scores}
                    if p
                    else {"primary": None, "asks": None, "scores": None}
                    for p in given
                ],
                columns=["primary", "asks", "scores"],
            )

    answers.__annotations__ = {
        "columns": Iterator[tuple[pd.Series, ...]],
        "return": Iterator[pd.DataFrame],
    }
    return pandas_udf(answers, "primary string, asks array<string>, scores map<string,double>")
