"""Golden attacks: a small network, images, and what another library than the one in use makes of them.

    python -m venv golden && golden/bin/pip install torch adversarial-robustness-toolbox==1.20.1 torchattacks==3.5.1
    golden/bin/python tests/golden/attacks.py

Writes `attacks.npz` beside this file. Gradient steps are those of the Adversarial Robustness Toolbox; DeepFool is that
of torchattacks, and once more that of the toolbox (which overshoots at its end alone, so it takes another way). Nothing
of `pnc` is imported: weights and images are drawn here.
"""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import nn

SEED, CLASSES, SHAPE, HIDDEN, SAMPLES = 20, 4, (1, 6, 6), 24, 60
RADII = {"linf": 0.05, "l2": 0.2}
STEPS, STEP_RATIO = 10, 2.5
OVERSHOOT, DEEPFOOL_STEPS = 0.02, 50


def clusters(samples: int, draw: np.random.Generator, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clusters of pixels in [0, 1], some of them at the ends, and their labels."""
    y = np.arange(samples) % CLASSES
    x = centres[y] + 0.25 * draw.standard_normal((samples, *SHAPE))
    return x.clip(0, 1).astype(np.float32), y


def network() -> nn.Sequential:
    """One hidden layer of ReLUs, trained a little."""
    draw = np.random.default_rng(SEED)
    centres = draw.uniform(0.3, 0.7, (CLASSES, *SHAPE))
    x, y = (torch.from_numpy(part) for part in clusters(400, draw, centres))
    torch.manual_seed(SEED)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return model.eval(), *clusters(SAMPLES, draw, centres)


def main() -> None:
    # here, since the tests, which collect this file, run without them
    import torchattacks
    from art.attacks.evasion import DeepFool, FastGradientMethod, ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    model, images, labels = network()
    # in the middle of [0, 1] clipping and projecting onto an ℓ2 ball never meet, whichever comes first
    middle = (0.5 + 0.5 * (images - 0.5)).astype(np.float32)
    art = PyTorchClassifier(
        model, loss=nn.CrossEntropyLoss(), input_shape=SHAPE, nb_classes=CLASSES, clip_values=(0.0, 1.0),
        device_type="cpu",
    )  # fmt: skip
    found: dict[str, np.ndarray] = {
        "images": images,
        "labels": labels,
        "middle": middle,
        **{f"weights_{name}": value.detach().numpy() for name, value in model.state_dict().items()},
        "logits": art.predict(images),
    }
    for norm, order in (("linf", np.inf), ("l2", 2)):
        x = images if norm == "linf" else middle
        y = labels if norm == "linf" else art.predict(middle).argmax(1)
        radius = RADII[norm]
        step = STEP_RATIO * radius / STEPS
        targets = (y + 1) % CLASSES
        usual = {"norm": order, "eps": radius, "eps_step": step, "batch_size": SAMPLES}
        iterated = {**usual, "max_iter": STEPS, "verbose": False}
        attacks = {
            "fgsm": FastGradientMethod(art, **{**usual, "eps_step": radius}),
            "bim": ProjectedGradientDescent(art, **iterated, num_random_init=0),
            "targeted": ProjectedGradientDescent(art, **iterated, num_random_init=0, targeted=True),
        }
        for name, attack in attacks.items():
            found[f"{name}_{norm}"] = attack.generate(x, targets if name == "targeted" else y)
        found[f"y_{norm}"], found[f"targets_{norm}"], found[f"radius_{norm}"] = y, targets, np.array(radius)
    predicted = art.predict(images).argmax(1)
    other = torchattacks.DeepFool(model, steps=DEEPFOOL_STEPS, overshoot=OVERSHOOT)
    found["deepfool_torchattacks"] = other(torch.from_numpy(images), torch.from_numpy(predicted)).detach().numpy()
    toolbox = DeepFool(art, DEEPFOOL_STEPS, OVERSHOOT, CLASSES, batch_size=SAMPLES, verbose=False)
    found["deepfool_toolbox"] = toolbox.generate(images)
    here = Path(__file__).resolve()
    commit = subprocess.run(["git", "-C", str(here.parent), "rev-parse", "HEAD"], capture_output=True, text=True)
    provenance = {
        "script": "tests/golden/attacks.py",
        "commit": commit.stdout.strip(),
        "seed": SEED,
        "steps": STEPS,
        "step_ratio": STEP_RATIO,
        "overshoot": OVERSHOOT,
        "deepfool_steps": DEEPFOOL_STEPS,
        "versions": {
            name: version(name) for name in ("torch", "numpy", "adversarial-robustness-toolbox", "torchattacks")
        },
    }
    found["provenance"] = np.array(json.dumps(provenance, sort_keys=True))
    np.savez_compressed(here.with_suffix(".npz"), **found)
    print(f"accuracy {np.mean(predicted == labels):.2f}, {here.with_suffix('.npz').stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
