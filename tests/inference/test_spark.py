"""The classifier as a Spark function, on a local Spark."""

import importlib.util
import shutil
import sys

import pytest

import pipeline
from pipeline.settings import Settings
from tests.conftest import invented_messages

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not importlib.util.find_spec("pyspark"),
        reason="PySpark is not installed; `make test-cluster` installs it",
    ),
    pytest.mark.skipif(
        not shutil.which("java"),
        reason="Spark needs Java 17 or newer (Debian: apt-get install default-jre-headless)",
    ),
    pytest.mark.filterwarnings("ignore"),  # PySpark's own
]


def test_a_column_of_messages_becomes_a_column_of_answers(
    trained: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyspark.sql import SparkSession

    from pipeline.inference.spark import predict_udf

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)  # else whatever python3 is on the path
    rows = invented_messages(120, seed=21)
    table = [(str(r["id"]), str(r["subject"]), str(r["text"])) for r in rows]
    table.append(("nothing", "", None))  # type: ignore[arg-type]
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "50")
        .getOrCreate()
    )
    try:
        messages = spark.createDataFrame(table, "id string, subject string, text string")
        ask = predict_udf(str(trained.model_dir), backend="onnx")
        answers = messages.repartition(3).withColumn("answer", ask("text", "subject"))
        found = {r["id"]: r for r in answers.select("id", "answer.*").collect()}
    finally:
        spark.stop()
    clf = pipeline.load(trained.model_dir, "onnx")
    expected = clf.predict([f"{subject}\n\n{text}".strip() for _, subject, text in table[:-1]])
    assert len(found) == len(table)
    for (name, _, _), ours in zip(table, expected, strict=False):
        theirs = found[name]
        assert (theirs["primary"], tuple(theirs["asks"])) == (ours.primary, ours.asks)
        assert theirs["scores"] == pytest.approx(ours.scores, abs=1e-4)
    assert found["nothing"]["primary"] is None
