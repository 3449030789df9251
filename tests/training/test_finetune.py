"""Fine-tuning a real tiny model: each option does what its words say, and nothing else."""

import errno
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.errors import DataError, InputError
from pipeline.progress import SILENT
from pipeline.settings import Settings, Training
from pipeline.training import batches
from pipeline.training import finetune as module
from pipeline.training.averaging import Average
from pipeline.training.batches import Rows
from pipeline.training.callbacks import seconds_spent
from pipeline.training.checks import check_examples, check_length
from pipeline.training.examples import Examples
from pipeline.training.finetune import SECONDS, finetune, load_for_training
from pipeline.training.frozen import LowerPart, cached
from pipeline.training.lora import add_lora
from pipeline.training.measure import logits_of
from pipeline.training.optimizer import rate_of
from pipeline.training.probe import start_head
from pipeline.training.quiet import quiet_libraries
from pipeline.training.resources import ResourceError, check_disk, explained
from tests.training.test_stage import Notes

needs_lora = pytest.mark.skipif(not find_spec("peft"), reason="the extra `lora` is not installed")

Options = Callable[..., Settings]
Split = tuple[Examples, Examples]


@pytest.fixture(scope="module")
def lively_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with dropout, which shows whether random numbers are drawn alike."""
    from transformers import AutoConfig

    folder = tmp_path_factory.mktemp("lively") / "base"
    shutil.copytree(tiny_base, folder)
    config = AutoConfig.from_pretrained(folder)
    config.hidden_dropout_prob = 0.2
    config.save_pretrained(folder)
    return folder


@pytest.fixture
def short_messages_lose_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave tokens out of messages as short as those here."""
    monkeypatch.setattr(batches, "FEW_TOKENS", 2)


def weights(base: Path, split: Split, settings: Settings, work: Path) -> dict[str, torch.Tensor]:
    with quiet_libraries():
        model = finetune(base, *split, settings, work, SILENT)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def alike(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two models have the same weights.

    The bias of attention's keys is left out: softmax cancels it, so its gradient is zero but for
    rounding, and Adam takes steps of full length even on rounding.
    """
    kept = [name for name in first if not name.endswith("attention.self.key.bias")]
    return all(torch.allclose(first[name], second[name], atol=1e-5) for name in kept)


@pytest.mark.parametrize(
    ("layers", "kept"),
    [(1, ("embeddings.", "encoder.layer.0.")), (99, ("embeddings.", "encoder."))],
    ids=["the lowest", "all there are"],
)
def test_cached_frozen_layers_give_the_weights_of_uncached_ones(
    lively_base: Path,
    split: Split,
    options: Options,
    tmp_path: Path,
    layers: int,
    kept: tuple[str, ...],
) -> None:
    def trained(cache: str) -> dict[str, torch.Tensor]:
        settings = options(frozen_layers=layers, cache=cache, epochs=2)
        return weights(lively_base, split, settings, tmp_path / cache)

    off, cached = trained("off"), trained("float32")
    assert (tmp_path / "float32" / "frozen" / "train.states").is_file()
    assert not (tmp_path / "off" / "frozen").exists()
    assert alike(off, cached)
    base = load_file(lively_base / "model.safetensors")
    for name, tensor in base.items():
        frozen = name.startswith(kept)
        assert torch.equal(cached[f"bert.{name}"], tensor) == frozen or "pooler" in name


@pytest.mark.usefixtures("short_messages_lose_tokens")
def test_some_tokens_are_left_out_only_where_frozen_layers_are_cached(
    lively_base: Path, split: Split, options: Options, tmp_path: Path
) -> None:
    def trained(**training: object) -> dict[str, torch.Tensor]:
        settings = options(frozen_layers=1, epochs=2, **training)
        return weights(lively_base, split, settings, tmp_path / str(training))

    everything = trained()
    assert not alike(everything, trained(token_share=(0.5,)))
    assert alike(everything, trained(token_share=(0.5,), cache="off"))


def test_all_tokens_are_read_where_upper_layers_count_their_places(
    split: Split, options: Options, tmp_path: Path
) -> None:
    """ModernBERT turns states by their places, in every layer."""
    from transformers import ModernBertConfig, ModernBertModel

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    special = {f"{name}_token_id": 0 for name in ("pad", "cls", "sep", "bos", "eos")}
    config = ModernBertConfig(
        vocab_size=2000, num_hidden_layers=2, initializer_range=0.5, **sizes, **special
    )
    base = tmp_path / "base"
    ModernBertModel(config).save_pretrained(base)
    notes: list[str] = []
    settings = options(frozen_layers=1, epochs=1, token_share=(0.5,))
    with quiet_libraries():
        finetune(base, *split, settings, tmp_path / "work", Notes(notes))
    assert any("Reading all tokens" in note for note in notes)


@pytest.mark.parametrize(("wanted", "found"), [(None, 0.2), (0.0, 0.0), (0.4, 0.4)])
def test_dropout_is_the_bases_or_the_settings(
    lively_base: Path, options: Options, wanted: float | None, found: float
) -> None:
    model = load_for_training(lively_base, options(dropout=wanted, attention_dropout=found))
    kinds = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
    assert kinds == {found}


def test_a_cache_too_large_is_not_kept_and_training_goes_on(
    tiny_base: Path, split: Split, options: Options, tmp_path: Path
) -> None:
    notes: list[str] = []
    settings = options(frozen_layers=1, cache_gigabytes=1e-6)
    with quiet_libraries():
        finetune(tiny_base, *split, settings, tmp_path / "w", Notes(notes))
    assert any("training.cache_gigabytes" in note for note in notes)


def test_lora_trains_little_and_merges_to_the_same_answers(
    tiny_base: Path, split: Split, options: Options, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    settings = options(lora_rank=2)
    with quiet_libraries():
        merged = finetune(tiny_base, *split, settings, tmp_path / "w", SILENT)
        adapted = peft.PeftModel.from_pretrained(
            load_for_training(tiny_base, settings), str(tmp_path / "w" / "best")
        ).eval()
        fresh = add_lora(load_for_training(tiny_base, settings), 2)
    trainable = sum(p.numel() for p in fresh.parameters() if p.requires_grad)
    assert trainable < 0.2 * sum(p.numel() for p in merged.parameters())
    assert not [name for name, _ in merged.named_parameters() if "lora" in name]
    assert np.allclose(logits_of(merged, split[1]), logits_of(adapted, split[1]), atol=1e-4)
    start = load_for_training(tiny_base, settings).eval()
    assert not np.allclose(logits_of(merged, split[1]), logits_of(start, split[1]), atol=1e-2)


def test_a_probed_head_starts_better_than_a_random_one(
    tiny_base: Path, split: Split, options: Options
) -> None:
    settings = options()
    model = load_for_training(tiny_base, settings)
    model.eval()

    def loss() -> float:
        logits = torch.from_numpy(logits_of(model, split[1]))
        targets = torch.from_numpy(split[1].targets).double()
        return float(torch.nn.functional.binary_cross_entropy_with_logits(logits, targets))

    before = loss()
    start_head(model, Rows(split[0]), 80, multi_label=True, seed=1)
    assert loss() < 0.9 * before


def test_a_probed_head_knows_single_labels_that_the_draw_lacks(
    tiny_base: Path, split: Split, options: Options
) -> None:
    model = load_for_training(tiny_base, options())
    one = Examples(split[0].ids, np.eye(3, dtype=np.float32)[np.arange(96) % 2])
    start_head(model, Rows(one), 96, multi_label=False, seed=1)
    assert torch.isfinite(model.classifier.weight).all()
    assert not model.classifier.weight[2].any()


def test_a_probed_head_knows_labels_that_all_or_none_of_the_draw_have(
    tiny_base: Path, split: Split, options: Options
) -> None:
    model = load_for_training(tiny_base, options())
    targets = np.stack([np.arange(96) % 2, np.zeros(96), np.ones(96)], axis=1)
    several = Examples(split[0].ids, targets.astype(np.float32))
    start_head(model, Rows(several), 96, multi_label=True, seed=1)
    assert torch.isfinite(model.classifier.weight).all()
    assert [bool(row.any()) for row in model.classifier.weight] == [True, False, False]


def test_a_probed_head_starts_at_zero_where_the_draw_has_one_label_only(
    tiny_base: Path, split: Split, options: Options
) -> None:
    model = load_for_training(tiny_base, options())
    one = Examples(split[0].ids, np.eye(3, dtype=np.float32)[np.ones(96, np.int64)])
    start_head(model, Rows(one), 96, multi_label=False, seed=1)
    assert not model.classifier.weight.any()


def test_the_average_moves_slowly_and_comes_back_from_a_checkpoint(tmp_path: Path) -> None:
    layer = torch.nn.Linear(1, 1)
    start = layer.weight.item()
    average = Average(layer, decay=0.9)
    with torch.no_grad():
        layer.weight.add_(1)
    average.update(step=10_000)
    with average.in_place():
        assert layer.weight.item() == pytest.approx(start + 0.1)
    assert layer.weight.item() == pytest.approx(start + 1)
    average.save(tmp_path)
    again = Average(layer, decay=0.9)
    again.load(tmp_path)
    with again.in_place():
        assert layer.weight.item() == pytest.approx(start + 0.1)


@pytest.mark.parametrize(
    "training",
    [
        {"frozen_layers": 1, "averaging": 0.9, "probe": 50, "accumulate": 2},
        {"frozen_layers": 1, "token_share": (0.5, 1)},
        {"frozen_layers": -1, "layer_decay": 0.8, "batch_tokens": 200, "balance": "focal"},
        pytest.param({"lora_rank": 2}, marks=needs_lora),
    ],
    ids=["cached and averaged", "some tokens", "whole, by tokens", "low-rank"],
)
@pytest.mark.usefixtures("short_messages_lose_tokens")
def test_interrupted_training_reaches_the_weights_of_an_unbroken_run(
    lively_base: Path, split: Split, options: Options, tmp_path: Path, training: dict[str, object]
) -> None:
    settings = options(epochs=2, **training)
    unbroken = weights(lively_base, split, settings, tmp_path / "unbroken")

    class Stopped(Exception):  # noqa: N818 - like a kill
        pass

    def stop(epoch: int, score: float) -> None:
        raise Stopped

    with quiet_libraries(), pytest.raises(Stopped):
        finetune(lively_base, *split, settings, tmp_path / "broken", SILENT, watch=stop)
    before = seconds_spent(tmp_path / "broken" / SECONDS)
    assert before > 0
    checkpoints = tmp_path / "broken" / "checkpoints"
    last = max(checkpoints.iterdir(), key=lambda p: int(p.name.rpartition("-")[2]))
    (last / "trainer_state.json").write_text("{")  # killed while it was written
    assert alike(unbroken, weights(lively_base, split, settings, tmp_path / "broken"))
    assert seconds_spent(tmp_path / "broken" / SECONDS) > before


def test_an_epoch_that_was_not_measured_to_its_end_is_measured_again(
    lively_base: Path,
    split: Split,
    options: Options,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = options(epochs=1)
    unbroken = weights(lively_base, split, settings, tmp_path / "unbroken")

    def killed(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Trainer, "evaluate", killed)
    with quiet_libraries(), pytest.raises(KeyboardInterrupt):
        finetune(lively_base, *split, settings, tmp_path / "broken", SILENT)
    monkeypatch.undo()
    assert not (tmp_path / "broken" / "best").exists()
    assert alike(unbroken, weights(lively_base, split, settings, tmp_path / "broken"))


def test_rates_fall_from_the_head_to_the_embeddings(tiny_base: Path, options: Options) -> None:
    model = load_for_training(tiny_base, options())
    training = Training(learning_rate=1e-3, head_learning_rate=1e-2, layer_decay=0.5)
    rates = {name: rate_of(name, model, training) for name, _ in model.named_parameters()}
    assert rates["classifier.weight"] == rates["bert.pooler.dense.weight"] == 1e-2
    assert rates["bert.encoder.layer.1.output.dense.weight"] == 1e-3
    assert rates["bert.encoder.layer.0.output.dense.weight"] == 5e-4
    assert rates["bert.embeddings.word_embeddings.weight"] == 2.5e-4


def test_a_loss_that_is_no_number_stops_training(
    tiny_base: Path, split: Split, options: Options, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    tensors = load_file(base / "model.safetensors")
    tensors["encoder.layer.0.output.dense.bias"].fill_(float("nan"))
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    with quiet_libraries(), pytest.raises(DataError, match=r"the loss is nan after step \d+"):
        finetune(base, *split, options(), tmp_path / "w", SILENT)


def test_memory_that_runs_out_is_explained(
    tiny_base: Path,
    split: Split,
    options: Options,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def step(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr(module.Trainer, "training_step", step)
    with (
        quiet_libraries(),
        pytest.raises(ResourceError, match=r"training\.accumulate"),
        explained(tmp_path),
    ):
        finetune(tiny_base, *split, options(), tmp_path / "w", SILENT)


def test_a_full_disk_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"the disk is full.*goes on"), explained(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    full = Path("/dev/full").open("wb")  # noqa: SIM115 - closing it fails, too
    with pytest.raises(ResourceError, match="the disk is full"), explained(tmp_path):
        torch.save({"x": torch.zeros(10_000)}, full)
    with pytest.raises(OSError, match="No space left"):
        full.close()
    with pytest.raises(ZeroDivisionError), explained(tmp_path):
        raise ZeroDivisionError


def test_a_disk_too_small_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"0" * 1_000_000)
    check_disk(tmp_path, file)
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ResourceError, match="needs about 12 MB here"):
        check_disk(tmp_path, file)


def test_a_base_that_reads_less_than_wanted_is_refused(tiny_base: Path) -> None:
    check_length(tiny_base, 64)
    with pytest.raises(InputError, match=r"Set training\.max_length=64"):
        check_length(tiny_base, 256)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.chosen(np.arange(0)), "the training split is empty"),
        (lambda e: e.chosen(np.zeros(9, np.int64)), "read the same"),
        (lambda e: Examples(e.ids, e.targets * [1, 1, 0]), "no training message has the label"),
        (lambda e: Examples(e.ids, e.targets[:, :2]), "has targets for 2 labels"),
    ],
)
def test_data_without_anything_to_learn_is_refused(
    split: Split, options: Options, change: Callable[[Examples], Examples], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        check_examples(change(split[0]), split[1], options().task, SILENT)


def test_thin_data_gets_a_word_of_warning(split: Split, options: Options) -> None:
    notes: list[str] = []
    silent = Examples(split[1].ids, split[1].targets * np.float32([1, 1, 0]))
    check_examples(split[0], silent, options().task, Notes(notes))
    assert "figures say little" in notes[0]
    assert "'job_lead'" in notes[1]


def test_a_single_label_task_is_not_told_of_thresholds_it_has_not(
    split: Split, options: Options
) -> None:
    notes: list[str] = []
    one_label = options().task.model_copy(update={"multi_label": False})
    silent = Examples(split[1].ids, split[1].targets * np.float32([1, 1, 0]))
    check_examples(split[0], silent, one_label, Notes(notes))
    assert not any("threshold" in note for note in notes)


def test_training_that_had_ended_early_is_not_taken_up_again(
    tiny_base: Path, split: Split, options: Options, tmp_path: Path
) -> None:
    settings = options(epochs=9, patience=1, learning_rate=1e-30, head_learning_rate=1e-30)
    epochs: list[int] = []

    def again() -> dict[str, torch.Tensor]:
        with quiet_libraries():
            model = finetune(
                tiny_base, *split, settings, tmp_path, SILENT, lambda epoch, _: epochs.append(epoch)
            )
        return model.state_dict()

    first = again()
    ended = list(epochs)
    assert len(ended) < 9, "nothing gets better at such a rate"
    assert alike(first, again())
    assert epochs == ended


def test_a_checkpoint_of_the_whole_model_is_not_loaded_into_its_upper_part(
    tiny_base: Path, split: Split, options: Options, tmp_path: Path
) -> None:
    settings = options(frozen_layers=1, cache="float32")
    model = load_for_training(tiny_base, settings)
    lower = LowerPart(model, 1)
    parts = {tmp_path / "frozen" / "train.states": split[0]}
    asked = (lower, model, parts, settings.training, SILENT)
    assert cached(*asked, going_on=True) is None
    assert cached(*asked) is not None
    lower.put_back()
    shutil.rmtree(tmp_path / "frozen")  # for room on the disk; the checkpoint is of the upper part
    assert cached(*asked, going_on=True) is not None


class Watched:
    """A progress that keeps what is shown, and is its own bar."""

    def __init__(self) -> None:
        self.steps: float = 0
        self.length: float | None = None
        self.words: list[str] = []

    def note(self, line: str) -> None:
        """Not of interest."""

    @contextmanager
    def task(self, name: str, total: float | None = None) -> Iterator["Watched"]:
        self.steps, self.length = 0, total
        yield self

    def advance(self, units: float = 1) -> None:
        self.steps += units

    def total(self, units: float) -> None:
        self.length = units

    def describe(self, words: str) -> None:
        self.words.append(words)


def test_the_bar_knows_how_far_training_is_and_how_well_it_goes(
    tiny_base: Path, split: Split, options: Options, tmp_path: Path
) -> None:
    shown = Watched()
    with quiet_libraries():
        finetune(tiny_base, *split, options(epochs=2), tmp_path, shown)
    assert shown.length
    assert shown.steps == shown.length
    assert re.fullmatch(r"train \(loss \d\.\d{3}\)", shown.words[0])
    assert re.fullmatch(r"train \(loss \d\.\d{3}, macro-F1 \d\.\d{3}\)", shown.words[-1])
