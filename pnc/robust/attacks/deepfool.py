"""DeepFool's ρ: how far, in proportion, an image is from the nearest decision boundary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from pnc.curves import json_ready
from pnc.nets.initial import seeded
from pnc.robust.attacks.libraries import load_foolbox
from pnc.robust.network.images import finite_images, pixel_images
from pnc.robust.network.pixel_model import PixelModel
from pnc.robust.network.predictions import predicted_classes
from pnc.robust.network.random_numbers import AveragedModel, draws_random_numbers

__all__ = ["DeepFoolResult", "deepfool"]

_CANDIDATES = 10  # boundaries looked at, those of the most likely classes; as in the paper


@dataclass(frozen=True, kw_only=True, eq=False)
class DeepFoolResult:
    """The perturbations that change what the network says.

    Args:
        relative: (N,) ‖r(x)‖₂/‖x‖₂; NaN where x = 0.
        distance: (N,) ‖r(x)‖₂.
        found: (N,) whether r(x) changes the class within the steps; where not, ‖r(x)‖ is only where it stopped.
        steps: most steps.
        overshoot: by what share a step goes beyond the boundary.
        perturbed: (N, …) the images x + r(x), where they were asked for.
    """

    relative: Float[np.ndarray, " N"]
    distance: Float[np.ndarray, " N"]
    found: Bool[np.ndarray, " N"]
    steps: int
    overshoot: float
    perturbed: Float[np.ndarray, "N ..."] | None = None

    @property
    def _counted(self) -> Float[np.ndarray, " n"]:
        return self.relative[self.found & ~np.isnan(self.relative)]

    @property
    def mean_relative(self) -> float:
        """ρ over the samples where r(x) was found; NaN where it was for none."""
        return float(self._counted.mean()) if self._counted.size else float("nan")

    @property
    def standard_error(self) -> float:
        """Of ρ over samples."""
        counted = self._counted
        return float(counted.std(ddof=1) / np.sqrt(counted.size)) if counted.size > 1 else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """ρ and how it came about; the samples stay behind."""
        return json_ready(
            {
                "mean_relative": self.mean_relative,
                "standard_error": self.standard_error,
                "median_relative": float(np.median(self._counted)) if self._counted.size else float("nan"),
                "found": int(self.found.sum()),
                "samples": len(self.found),
                "steps": self.steps,
                "overshoot": self.overshoot,
            }
        )


def deepfool(
    model: PixelModel,
    images: Any,
    *,
    steps: int = 50,
    overshoot: float = 0.02,
    batch_size: int = 256,
    seed: int = 0,
    keep: bool = False,
) -> DeepFoolResult:
    """ρ = mean ‖r(x)‖₂/‖x‖₂, r(x) DeepFool's smallest change of x that changes the class that the network gives it.

    About the network's own class, not the label, and over all images, as Moosavi-Dezfooli, Fawzi, Frossard,
    *DeepFool*, CVPR 2016 (arXiv:1511.04599) define it: each step goes to the nearest boundary of the network made
    linear at the present point, (1 + overshoot) times as far, and stays in [0, 1]. ‖x‖ is that of the pixels, before
    standardisation. Of a network that draws random numbers the steps follow the mean over 16 draws, and every image is
    judged by one draw that is fixed for it.

    Raises:
        InvalidInputError: images outside [0, 1], foolbox missing.

    >>> result = deepfool(PixelModel(torch.nn.Identity()), np.array([[0.6, 0.0]]))
    >>> result.found.tolist(), round(result.mean_relative, 3)  # 1.02 · 0.6/√2 / 0.6, less what is clipped
    ([True], 0.721)
    """
    foolbox = load_foolbox()
    images = pixel_images(images, dtype=model.dtype)
    random = draws_random_numbers(model, images, batch_size=batch_size, seed=seed)
    followed = PixelModel(AveragedModel(model)) if random else model

    def judged(some: torch.Tensor) -> np.ndarray:
        with seeded(seed):  # the same random numbers for the same image, before and after
            return predicted_classes(model, some, batch_size=batch_size)

    moved = []
    classes = judged(images)
    with seeded(seed):
        for start in range(0, len(images), batch_size):
            x = images[start : start + batch_size].to(model.device)
            given = torch.from_numpy(classes[start : start + batch_size]).to(x.device)
            with torch.no_grad():
                count = followed(x[:1]).shape[1]
            # foolbox logs, and by that configures, the program's logging where candidates are limited
            attack = foolbox.attacks.L2DeepFoolAttack(
                steps=steps, overshoot=overshoot, candidates=None if count <= _CANDIDATES else _CANDIDATES
            )
            library_model = foolbox.PyTorchModel(followed, bounds=(0, 1), device=x.device)
            perturbed = attack.run(library_model, x, foolbox.Misclassification(given)).detach()
            moved.append(finite_images(perturbed, x).cpu())
    perturbed = torch.cat(moved)
    found = judged(perturbed) != classes
    distance = torch.linalg.vector_norm((perturbed - images).flatten(1).double(), dim=1).numpy()
    length = torch.linalg.vector_norm(images.flatten(1).double(), dim=1).numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(length > 0, distance / length, np.nan)
    return DeepFoolResult(
        relative=relative,
        distance=distance,
        found=found,
        steps=steps,
        overshoot=overshoot,
        perturbed=perturbed.numpy() if keep else None,
    )
