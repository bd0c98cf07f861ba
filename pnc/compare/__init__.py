"""Comparison: theory held against measurement."""

from pnc.callable_room import make_callable
from pnc.compare.laws.equi_separation import EquiSeparation, equi_separation
from pnc.compare.laws.evidence import Alternative, LawEvidence, alternative_fit
from pnc.compare.laws.follow import Following, follow
from pnc.compare.laws.law_fits import LawFit, fit_geometric_law, fit_laws, fit_linear_law
from pnc.compare.laws.phase import Phase
from pnc.compare.laws.residual_scale import EffectiveScale, effective_residual_scale
from pnc.compare.laws.same_but_seed import differing_entry, differing_field
from pnc.compare.laws.seeds import FollowingSeeds, SeedInterval, follow_seeds
from pnc.compare.laws.separability import Separability, separability_onset
from pnc.compare.laws.trace_shape import TraceShape, trace_shape
from pnc.compare.limits import Limits
from pnc.compare.measured_run import MeasuredRun, is_prediction
from pnc.compare.prediction.assumptions import assumption_failures
from pnc.compare.prediction.compare import compare
from pnc.compare.prediction.comparison import Comparison, LawOutcome
from pnc.compare.prediction.simulation import compare_simulation
from pnc.compare.published import PublishedCurves, published_curves, published_names
from pnc.compare.universal.checks import BoundCheck, UniversalChecks, check_universal
from pnc.compare.universal.variance_floors import VarianceFloor, variance_floors
from pnc.compare.verdict import Verdict, worst_status
from pnc.records import parse_record, read_record

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
    "LawOutcome",
    "Limits",
    "MeasuredRun",
    "Phase",
    "PublishedCurves",
    "SeedInterval",
    "Separability",
    "TraceShape",
    "UniversalChecks",
    "VarianceFloor",
    "Verdict",
    "alternative_fit",
    "assumption_failures",
    "check_universal",
    "compare",
    "compare_simulation",
    "differing_entry",
    "differing_field",
    "effective_residual_scale",
    "equi_separation",
    "fit_geometric_law",
    "fit_laws",
    "fit_linear_law",
    "follow",
    "follow_seeds",
    "is_prediction",
    "parse_record",
    "published_curves",
    "published_names",
    "read_record",
    "separability_onset",
    "trace_shape",
    "variance_floors",
    "worst_status",
]

make_callable(__name__, compare)
