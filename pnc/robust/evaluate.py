"""`evaluate_robustness`: attacks, noise, DeepFool and the checks, on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pnc.curves import json_ready
from pnc.robust.attacks.deepfool import DeepFoolResult, deepfool
from pnc.robust.attacks.kinds import attack_named
from pnc.robust.attacks.spec import Norm
from pnc.robust.masking.attacked_images import AttackedImages
from pnc.robust.masking.checks import Checks, check_compared, check_masking
from pnc.robust.network.images import check_reach
from pnc.robust.network.pixel_model import PixelModel
from pnc.robust.noise import check_probability, pixel_noise
from pnc.robust.results import Accuracy, AttackResult, NoiseResult

__all__ = ["Robustness", "evaluate_robustness"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Robustness:
    """What became of the samples under everything that was tried.

    Args:
        clean: as they are.
        attacks: one result an attack, radius and number of steps.
        noise: one result a probability.
        deepfool: ρ, where asked.
        checks: of gradient masking, where asked.
        notes: what a reader of the numbers should know.
        seed: of every random draw.
    """

    clean: Accuracy
    attacks: tuple[AttackResult, ...]
    noise: tuple[NoiseResult, ...]
    deepfool: DeepFoolResult | None
    checks: Checks | None
    notes: tuple[str, ...]
    seed: int

    @property
    def masked(self) -> bool | None:
        """Whether a check failed; `None` where none was made."""
        return None if self.checks is None else self.checks.masked

    def to_dict(self) -> dict[str, Any]:
        """Everything but the single samples."""
        return json_ready(
            {
                "clean": self.clean.to_dict(),
                "attacks": [result.to_dict() for result in self.attacks],
                "noise": [result.to_dict() for result in self.noise],
                "deepfool": None if self.deepfool is None else self.deepfool.to_dict(),
                "checks": None if self.checks is None else self.checks.to_dict(),
                "masked": self.masked,
                "notes": list(self.notes),
                "seed": self.seed,
            }
        )


def evaluate_robustness(
    model: PixelModel,
    images: Any,
    labels: Any,
    *,
    attacks: Sequence[str] = ("fgsm", "bim", "pgd"),
    radii: Sequence[float] = (8 / 255, 16 / 255),
    steps: Sequence[int] = (7, 20),
    norm: Norm = "linf",
    targeted: bool = False,
    restarts: int = 1,
    noise: Sequence[float] = (0.4, 0.6, 0.8, 1.0),
    with_deepfool: bool = True,
    checks: bool = True,
    source: PixelModel | None = None,
    seed: int = 0,
    batch_size: int = 256,
    progress: Callable[[str, float], None] | None = None,
) -> Robustness:
    """Accuracy under every attack at every radius and number of steps, under noise, DeepFool's ρ, and the checks.

    Args:
        model: takes images in [0, 1].
        images: (N, …) in [0, 1], or unsigned bytes.
        labels: (N,) whole numbers 0…K-1.
        attacks: names, see `pnc.robust.ATTACKS`.
        radii: of the ball, see `AttackSpec`.
        steps: of the iterated attacks; at least two numbers where there are checks.
        norm: `linf` or `l2`.
        targeted: towards a random other class; the checks are always untargeted.
        restarts: of the attacks that start at random.
        noise: probabilities of `pixel_noise`.
        with_deepfool: whether to compute ρ.
        checks: whether to ask `check_masking`.
        source: another network, the plain one, for its check of transfer.
        seed: of every random draw.
        batch_size: images at a time.
        progress: called with what begins, and the share that is done.

    Raises:
        InvalidInputError: as `AttackSpec`, `run_attack`, `pixel_noise` and `check_masking`.
    """
    for probability in noise:  # before any attack is made
        check_probability(probability)
    if checks:
        check_compared(radii, steps)
    shown = AttackedImages(model, images, labels, batch_size=batch_size, seed=seed)
    for radius in radii:
        check_reach(shown.images, radius=radius, norm=norm)
    wanted: list[dict[str, Any]] = []
    for name in attacks:
        kind = attack_named(name)
        for radius in radii:
            for count in (1,) if kind.one_step else steps:
                turns = restarts if kind.random_start else 1
                wanted.append(
                    {"attack": name, "radius": radius, "norm": norm, "targeted": targeted, "restarts": turns,
                     "steps": count}
                )  # fmt: skip
    begin = _Steps(len(wanted) + len(noise) + with_deepfool + 4 * checks, progress)
    done = []
    for options in wanted:
        begin(f"{options['attack']} at {options['radius']:.4g}")
        done.append(shown.result(**options))
    noisy = []
    for probability in noise:
        begin(f"noise {probability:g}")
        noisy.append(pixel_noise(model, shown.images, shown.labels, probability, seed=seed, batch_size=batch_size))
    found = None
    if with_deepfool:
        begin("deepfool")
        found = deepfool(model, shown.images, batch_size=batch_size, seed=seed)
    asked = None
    if checks:
        before = begin.done
        asked = check_masking(
            shown, radii=radii, norm=norm, steps=steps, source=source,
            progress=lambda name, share: begin.at(f"check: {name}", before + 4 * share),
        )  # fmt: skip
    notes = list(model.notes)
    if shown.random:
        notes.append(
            "two passes differ, so the network draws random numbers at test time: attacks follow gradients averaged "
            f"over {shown.draws} draws, and every image is judged by one draw that is fixed for it, attacked or not"
        )
    return Robustness(
        clean=shown.clean, attacks=tuple(done), noise=tuple(noisy), deepfool=found, checks=asked, notes=tuple(notes),
        seed=seed,
    )  # fmt: skip


class _Steps:
    """What is under way, and the share of all that is done."""

    def __init__(self, total: int, progress: Callable[[str, float], None] | None) -> None:
        self.total, self.done, self.progress = max(1, total), 0, progress

    def __call__(self, what: str) -> None:
        self.at(what, self.done)
        self.done += 1

    def at(self, what: str, done: float) -> None:
        if self.progress is not None:
            self.progress(what, done / self.total)
