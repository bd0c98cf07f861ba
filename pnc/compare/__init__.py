"""Comparison: theory held against measurement."""

from pnc.compare.compare import Comparison, assumption_failures, compare
from pnc.compare.equi_separation import EquiSeparation, equi_separation
from pnc.compare.evidence import Alternative, LawEvidence, alternative_fit
from pnc.compare.follow import Following, follow
from pnc.compare.laws import LawFit, fit_geometric_law, fit_linear_law
from pnc.compare.limits import Limits
from pnc.compare.measured import MeasuredRun, is_prediction, parse_record, read_record
from pnc.compare.phase import Phase
from pnc.compare.residual_scale import EffectiveScale, effective_residual_scale
from pnc.compare.seeds import FollowingSeeds, SeedInterval, follow_seeds
from pnc.compare.separability import Separability, separability_onset
from pnc.compare.trace_shape import TraceShape, trace_shape
from pnc.compare.universal import BoundCheck, UniversalChecks, check_universal
from pnc.compare.verdict import Verdict

__all__ = [
    "Alternative",
    "BoundCheck",
    "Comparison",
    "EffectiveScale",
    "EquiSeparation",
    "Following",
    "FollowingSeeds",
    "LawEvidence",
    "LawFit",
    "Limits",
    "MeasuredRun",
    "Phase",
    "SeedInterval",
    "Separability",
    "TraceShape",
    "UniversalChecks",
    "Verdict",
    "alternative_fit",
    "assumption_failures",
    "check_universal",
    "compare",
    "effective_residual_scale",
    "equi_separation",
    "fit_geometric_law",
    "fit_linear_law",
    "follow",
    "follow_seeds",
    "is_prediction",
    "parse_record",
    "read_record",
    "separability_onset",
    "trace_shape",
]
