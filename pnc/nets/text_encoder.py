"""Hidden states of a transformers encoder, layer by layer: what a text becomes on its way through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from pnc.errors import InvalidInputError
from pnc.nets.checks import at_least
from pnc.nets.libraries import import_library

__all__ = ["encode_texts"]


def encode_texts(
    texts: Sequence[str],
    model: str,
    *,
    batch_size: int = 32,
    longest: int = 256,
    device: str | torch.device = "cpu",
) -> list[Float[np.ndarray, "N d"]]:
    """One array (N, d) a layer: the mean of the hidden states over the words of each text, float32.

    Layer 0 is the embedding, the last the encoder's output. With h_it^l the hidden state of token t of text i
    at layer l, and T_i the tokens that are no padding: `z_i^l = (1/|T_i|) Σ_{t∈T_i} h_it^l`.

    Args:
        texts: N texts.
        model: a folder with a saved model and tokenizer, or a published name, for `transformers`.
        batch_size: texts at a time.
        longest: tokens of a text that are used, or as many as the model takes; the rest is cut off.
        device: where to compute.

    Raises:
        InvalidInputError: transformers not installed, a model that cannot be found or read, one that fails at these
            texts, no text.
    """
    if not texts:
        raise InvalidInputError(got="no text", expected="at least one", next_step="check the file")
    at_least("batch_size", batch_size, 1)
    tokenizer, encoder = _load(model)
    encoder.eval().to(device)
    positions = getattr(encoder.config, "max_position_embeddings", None) or longest
    longest = min(longest, tokenizer.model_max_length, positions)
    if tokenizer.pad_token is None:  # of those that only write; what fills up a batch is masked anyway
        tokenizer.pad_token = tokenizer.eos_token
    try:
        batches = list(_states(texts, tokenizer, encoder, batch_size, longest, torch.device(device)))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(
            got=f"transformers model {model!r}, which fails at texts of up to {longest} tokens "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]})",
            expected="an encoder of texts that gives its hidden states",
            next_step="choose another model, or allow fewer tokens",
        ) from error
    return [np.concatenate(layer) for layer in zip(*batches)]


def _states(
    texts: Sequence[str],
    tokenizer: Any,
    encoder: torch.nn.Module,
    batch_size: int,
    longest: int,
    device: torch.device,
) -> Iterator[list[np.ndarray]]:
    """For one batch of texts after the other, the mean states of every layer."""
    for start in range(0, len(texts), batch_size):
        batch = tokenizer(
            list(texts[start : start + batch_size]),
            padding=True,
            truncation=True,
            max_length=longest,
            return_tensors="pt",
        ).to(device)
        with torch.inference_mode():
            states = encoder(**batch, output_hidden_states=True).hidden_states
        weights = batch["attention_mask"][:, :, None].to(states[0].dtype)
        counts = weights.sum(1).clamp_min(1)
        yield [((state * weights).sum(1) / counts).float().cpu().numpy() for state in states]


def _load(model: str) -> tuple[Any, torch.nn.Module]:
    transformers = import_library("transformers")
    transformers.utils.logging.disable_progress_bar()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(model, trust_remote_code=False)
        encoder = transformers.AutoModel.from_pretrained(model, trust_remote_code=False, use_safetensors=True)
    except Exception as error:  # of many kinds: no such folder, no network, a damaged file
        raise InvalidInputError(
            got=f"transformers model {model!r}, which cannot be loaded ({' '.join(str(error).split())[:300]})",
            expected="a folder with a saved model and tokenizer, or a published name and a network",
            next_step="download the model on another machine and pass its folder",
        ) from error
    return tokenizer, encoder
