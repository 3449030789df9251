"""A small project to label, in a folder of its own."""

import json

from pipeline.labeling.project import Project, open_project
from pipeline.records import Annotation, Message
from pipeline.settings import Settings, parse_settings
from pipeline.store import write_records

LABELS = ("information", "influence", "job_lead")
ASKS = [("information",), ("influence",), ("job_lead",), ()]
WORDS = ["what is it like to teach", "please introduce me to", "are you hiring at", "thanks for"]
CODEBOOK = """# Codebook

Version 1.2

| ask | gives |
| --- | --- |
| `information` | what they **know** |
"""


def make_project(folder, count=40, annotations=(), **sections) -> Project:
    messages = [
        Message(f"m{i}", f"{WORDS[i % 4]} the {['old', 'new', 'big', 'red'][i // 4 % 4]} place {i}")
        for i in range(count)
    ]
    folder.mkdir(exist_ok=True)
    settings = make_settings(folder, **sections)
    write_records(settings.ingest_dir / "messages.parquet", messages, Message)
    (folder / "codebook.md").write_text(CODEBOOK)
    with (folder / "given.jsonl").open("w") as stream:
        for annotation in annotations:
            row = {k: v for k, v in annotation.to_row().items() if v != ""}
            stream.write(json.dumps(row) + "\n")
    return open_project(settings)


def make_settings(folder, **sections) -> Settings:
    label = {"codebook": str(folder / "codebook.md"), "log": str(folder / "log.jsonl")}
    return parse_settings(
        {
            "name": "t",
            "task": {"labels": list(LABELS)},
            "data": {
                "messages": [str(folder / "mail.jsonl")],
                "annotations": [str(folder / "given.jsonl")],
                "processed": str(folder / "processed"),
            },
            "label": label | sections.pop("label", {}),
            **sections,
        }
    )


def answer(i, annotator="ada", asks=None, **more) -> Annotation:
    """What a good annotator says of message i, or `asks`."""
    found = ASKS[i % 4] if asks is None else asks
    return Annotation(f"m{i}", annotator, found, found[0] if found else "none", **more)
