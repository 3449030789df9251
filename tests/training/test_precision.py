"""Training in 16-bit numbers: where it is chosen, and that it learns the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import InputError
from pipeline.progress import SILENT
from pipeline.settings import Settings, Training
from pipeline.training.examples import Examples
from pipeline.training.finetune import finetune
from pipeline.training.measure import logits_of
from pipeline.training.precision import check_device, half, on_cpu
from pipeline.training.quiet import quiet_libraries


@pytest.mark.parametrize(("units", "chosen"), [(True, "bfloat16"), (False, "")])
def test_a_cpu_computes_in_16_bits_only_with_units_for_it(
    units: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": units})
    assert half(Training(device="cpu")) == chosen
    assert half(Training(device="cpu", precision="float32")) == ""
    assert half(Training(device="cpu", precision="bfloat16")) == "bfloat16"


@pytest.mark.parametrize(("newer", "chosen"), [(True, "bfloat16"), (False, "float16")])
def test_a_gpu_computes_in_the_16_bits_it_has(
    newer: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: newer)
    assert half(Training()) == chosen
    assert half(Training(device="cpu", precision="float32")) == ""


@pytest.mark.parametrize("device", ["cuda", "mps"])
@pytest.mark.parametrize("check", [check_device, on_cpu])
def test_a_device_that_is_not_there_is_refused(
    device: str, check: Callable[[Training], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    words = rf"training\.device is {device}, but torch finds only cpu here\."
    with pytest.raises(InputError, match=words):
        check(Training(device=device))
    for other in ("auto", "cpu"):
        check(Training(device=other))


def test_16_bits_learn_what_32_do(
    tiny_base: Path,
    split: tuple[Examples, Examples],
    options: Callable[..., Settings],
    tmp_path: Path,
) -> None:
    def logits(precision: str) -> np.ndarray:
        settings = options(precision=precision, frozen_layers=1, epochs=4)
        with quiet_libraries():
            model = finetune(tiny_base, *split, settings, tmp_path / precision, SILENT)
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        return logits_of(model, split[1])

    exact, rounded = logits("float32"), logits("bfloat16")
    assert not np.array_equal(exact, rounded)
    assert np.corrcoef(exact.ravel(), rounded.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_float16_on_a_cpu_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match="a CPU cannot train in"):
        check_device(Training(device=device, precision="float16"))
