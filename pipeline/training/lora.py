"""Low-rank adaptation (Hu et al., ICLR 2022) through peft: large bases on small machines.

The base stays as it is; every linear layer gets a small addition that is trained beside the head.
What is saved while training lasts are the additions; the model folder holds their sum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from pipeline.errors import InputError


def add_lora(model: PreTrainedModel, rank: int) -> Any:
    """The model with additions of this rank; only they and the head are trained.

    Raises:
        InputError: peft is not installed.
    """
    peft = _peft()
    config = peft.LoraConfig(
        task_type="SEQ_CLS", r=rank, lora_alpha=2 * rank, target_modules="all-linear"
    )
    return peft.get_peft_model(model, config)


def merge_lora(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """The base with the additions saved in `folder` merged into its weights."""
    loaded = _peft().PeftModel.from_pretrained(model, str(folder))
    merged: PreTrainedModel = loaded.merge_and_unload()
    return merged


def _peft() -> Any:
    try:
        import peft
    except ImportError:
        raise InputError(
            "training.lora_rank needs peft; install it with `pip install outreach-intent[lora]`, "
            "or set training.lora_rank=0."
        ) from None
    return peft
