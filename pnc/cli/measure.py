"""`pnc measure`: what saved features do to their classes, layer by layer."""

from __future__ import annotations

from typing import Annotated

import typer

from pnc.cli.options import ClassesOption, JsonOption
from pnc.cli.output import law_line, number, print_json, print_table

__all__ = ["measure"]


def measure(
    features: Annotated[
        str,
        typer.Argument(help="A .npz or .safetensors file with y (N,) and layer_0, layer_1, … (N, …) each."),
    ],
    classes: ClassesOption = None,
    fuzziness: Annotated[
        bool, typer.Option("--fuzziness/--no-fuzziness", help="A second pass for tr(Σ_W Σ_B⁺).")
    ] = True,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1.")] = "auto",
    json: JsonOption = False,
) -> None:
    """Compression, discrimination, scatters and fuzziness of the layers in a feature file."""
    from pnc.compare import fit_geometric_law, fit_linear_law
    from pnc.curves import json_ready
    from pnc.data import load_features
    from pnc.measure import measure_features, resolved
    from pnc.simulate.device import resolve_device

    where = resolve_device(device)
    layers, y, provenance = load_features(features)
    curve = measure_features(layers, y, classes=classes, fuzziness=fuzziness, device=where, dtypes=provenance["dtypes"])
    hidden = [
        layer
        for layer, usable, c in zip(
            curve.layers.tolist(), resolved(curve, 0.1).tolist(), curve.compression.tolist(), strict=True
        )
        if not usable and c > 0
    ]
    geometric, linear = fit_geometric_law(curve), fit_linear_law(curve)
    verdict = "BELOW_NOISE" if hidden else None
    if json:
        result = curve.to_dict()
        result["provenance"] |= {"file": provenance["file"]}
        result |= {
            "laws": json_ready(
                {
                    "geometric": None if geometric is None else geometric.to_dict(),
                    "linear": None if linear is None else linear.to_dict(),
                }
            ),
            "verdict": verdict,
            "below_noise": hidden,
        }
        print_json(result)
    else:
        noise = curve.provenance["noise_floor"]
        print(f"features: {features}, K = {curve.provenance['classes']}, N = {curve.provenance['samples']}")
        for note in curve.provenance["notes"]:
            print(f"note: {note}")
        print_table(
            ["layer", "dtype", "C", "noise floor", "D", "tr Σ_W", "tr Σ_B", "fuzziness"],
            (
                [
                    str(l),
                    curve.provenance["dtype"][i],
                    number(curve.compression[i]) + ("*" if l in hidden else ""),
                    number(float("nan") if noise[i] is None else noise[i], 2),
                    number(curve.discrimination[i], 5),
                    number(curve.within_scatter[i]),
                    number(curve.between_scatter[i]),
                    number(curve.separation_fuzziness[i]),
                ]
                for i, l in enumerate(curve.layers.tolist())
            ),
        )
        print(law_line("geometric law: C_(l+1)/C_l", geometric, None, geometric=True))
        print(law_line("linear law: D_(l+1) - D_l", linear, None, geometric=False))
        if hidden:
            print(
                f"BELOW_NOISE: C at layers {hidden} (*) is not resolved above the rounding of the features; use float64"
            )
    if hidden:
        raise typer.Exit(4)
