"""What the papers and the related work published, row by row, with the source of each value and how it was read.

A value that is not known from a source that was seen is not here. `measured` names the entry of a kept result that
stands beside it; where there is none, `why` says why the row cannot be measured on this machine.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ROWS", "SOURCES", "Published"]

SOURCES = {
    "P": "project page of arXiv:2311.02960 (Heimine/PNC_DLN, docs/index.md and its figures)",
    "N": "authors' notebook and scripts of arXiv:2311.02960 (Heimine/PNC_DLN, outputs embedded)",
    "R": "first author's post on arXiv:1804.07090 (academic-homepage, content/post/lr_layer.md)",
    "H": "code of the law of data separation (HornHehhf/Equi-Separation)",
    "Y": "code of the law of parsimony (cjyaras/law-of-parsimony)",
    "F": "conservation under gradient flow, arXiv:1802.06509 and 1810.02281",
    "M": "literature table on Masarczyk et al. 2023, secondary source",
}
"""Letter → where a value was seen."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published value.

    Args:
        what: it is, in words.
        value: as it was published; text where it is no single number.
        source: letter of `SOURCES`.
        precision: how far off it can be read (of a plot) or rounded; for agreement.
        approximate: whether it was read off a plot.
        seeds: that it is the mean of.
        measured: entry of the kept result.
        scale: what is smaller here; empty where the sizes are the published ones.
        why: the row cannot be measured here; or why it differs.
    """

    what: str
    value: float | str
    source: str
    precision: float = 0.0
    approximate: bool = False
    seeds: int = 1
    measured: str | None = None
    scale: str = ""
    why: str = ""


_NO_CIFAR = "CIFAR-10 is not on this machine, and there is no way to download it"
_NO_GPU = "matrix factorisation and completion at d = 1000 are no networks of classes: outside of what pnc trains"
_LINEAR = "setting of the page not stated; here N = 30, K = 3, d = 50, ε = 0.3, α = 1"

ROWS: tuple[Published, ...] = (
    # assumptions, Figure 6
    *(
        Published(what=f"Figure 6 (i), map error at depth {L}, width 400", value=value, source="N", precision=0.004,
                  approximate=True, seeds=10, measured=f"map_error_depth_{L}")
        for L, value in ((2, 0.049), (5, 0.040))
    ),
    *(
        Published(what=f"Figure 6 (i), map error at width {w}, depth 5", value=value, source="N", precision=0.004,
                  approximate=True, seeds=10, measured=f"map_error_width_{w}")
        for w, value in ((200, 0.059), (700, 0.029))
    ),
    *(
        Published(what=f"Figure 6 (ii), imbalance at depth {L}, width 400", value=value, source="N", precision=0.003,
                  approximate=True, seeds=10, measured=f"imbalance_depth_{L}")
        for L, value in ((2, 0.023), (3, 0.066), (4, 0.048), (5, 0.037))
    ),
    *(
        Published(what=f"Figure 6 (iii), variance of the residual singular values at depth {L}, width 400", value=0.0,
                  source="N", precision=1e-4, approximate=True, seeds=10, measured=f"residual_variance_depth_{L}")
        for L in (2, 3, 4, 5)
    ),
    # theorem, the notebook
    Published(what="Notebook, C(l+1)/C(l), α = 100 (0.280 to 0.290 printed)", value=0.285, source="N", precision=0.005,
              measured="notebook_ratio"),
    *(
        Published(what=f"Notebook, D at layer {l}, α = 100 (one draw of the data)", value=value, source="N",
                  precision=5e-5, measured=f"notebook_D_{l}")
        for l, value in enumerate((0.9681, 0.9716, 0.9761, 0.9809, 0.9859), 1)
    ),
    Published(what="Page, 6-layer linear network, C at the first layer", value=12.0, source="P", precision=1.0,
              approximate=True, measured="linear_C_first", scale=_LINEAR),
    Published(what="Page, 6-layer linear network, C at the last layer", value=1e-5, source="P", precision=1e-5,
              approximate=True, measured="linear_C_last", scale=_LINEAR),
    Published(what="Page, 6-layer linear network, D at the last layer", value=0.97, source="P", precision=0.01,
              approximate=True, measured="linear_D_last", scale=_LINEAR),
    # related laws
    Published(what="Law of parsimony, singular values of a hidden weight that stay at ε (d − 2K), d = 30, K = 3",
              value=24.0, source="Y", measured="unmoved"),
    Published(what="Gradient flow conserves W(l+1)ᵀW(l+1) − W(l)W(l)ᵀ: its change, Frobenius norm", value=0.0,
              source="F", precision=1e-6, measured="conserved",
              why="the integrator of the flow has steps of finite size"),
    # not here
    Published(what="Figure 1, numerical ranks by layer, MLP", value="860, 896, 872, 815, 749, 636, 441", source="N",
              approximate=True, why=_NO_CIFAR),
    Published(what="Figure 1, numerical ranks by layer, hybrid", value="908, 922, 919, 912, 893, 841, 709", source="N",
              approximate=True, why=_NO_CIFAR),
    Published(what="Page, 10-layer nonlinear network, C from first to last layer", value="12 to 1.7", source="P",
              approximate=True, why="data and recipe are not stated"),
    Published(what="Page, 10-layer nonlinear network, D from first to last layer", value="0.22 to 0.63", source="P",
              approximate=True, why="data and recipe are not stated"),
    Published(what="Page, transfer accuracy with 1 to 5 projection layers, %", value="60.1, 64.7, 65.6, 66.3, 67.1",
              source="P", approximate=True, why="neither CIFAR-10 nor CIFAR-100 is on this machine"),
    Published(what="Page, C with 1 to 5 projection layers", value="0.0085, 0.029, 0.047, 0.082, 0.125", source="P",
              approximate=True, why="neither CIFAR-10 nor CIFAR-100 is on this machine"),
    *(
        Published(what=f"PGD, {network}, 7 / 20 steps at 8/255, 10/255, 16/255, 20/255, accuracy %", value=value,
                  source="R", why=_NO_CIFAR)
        for network, value in (
            ("vanilla", "43.1/31.0, 38.5/21.8, 31.2/7.8, 28.9/4.5"),
            ("SNIP", "29.4/14.5, 25.0/8.0, 18.5/1.3, 16.2/0.4"),
            ("SRN", "47.8/37.6, 44.4/31.4, 39.8/21.3, 37.5/18.4"),
            ("low-rank", "79.1/78.5, 78.6/78.1, 77.9/77.0, 77.1/76.6"),
        )
    ),
    Published(what="Random pixels p = 0.4, 0.6, 0.8, 1.0, vanilla, accuracy %", value="69.7, 26.1, 12.6, 11.3",
              source="R", why=_NO_CIFAR),
    Published(what="Random pixels p = 0.4, 0.6, 0.8, 1.0, low-rank, accuracy %", value="75.1, 34.2, 15.8, 13.0",
              source="R", why=_NO_CIFAR),
    Published(what="Low-rank network compressed 400 ×, accuracy lost, points", value="6 (vanilla: more than 27)",
              source="R", why=_NO_CIFAR),
    Published(what="Tail of 8M parameters replaced by a linear map of 160k, accuracy lost, points", value="less than 1",
              source="R", why=_NO_CIFAR),
    Published(what="Variance ratio at 1, 10, 100 singular values, vanilla", value="0.5, 0.95, 0.99", source="R",
              approximate=True, why=_NO_CIFAR),
    Published(what="Law of data separation, GLNN: fuzziness from first to last layer, not monotone", value="37 to 19",
              source="H", approximate=True, why=_NO_CIFAR),
    Published(what="Law of parsimony, factorisation, speed", value="10 ×", source="Y", approximate=True, why=_NO_GPU),
    Published(what="Law of parsimony, completion, speed", value="6 ×", source="Y", approximate=True, why=_NO_GPU),
    Published(what="VGG-19, CIFAR-10: rank reaches the number of classes, steps", value="75", source="M",
              approximate=True, why=_NO_CIFAR),
)  # fmt: skip
