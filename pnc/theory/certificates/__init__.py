"""T8: intervals for C_l and D_l that given, imperfect weights are guaranteed to obey."""

from pnc.theory.certificates.intervals import Certificate, certificate, certify
from pnc.theory.certificates.moments import InputMoments
from pnc.theory.certificates.summary import WeightSummary, summarise_weights

__all__ = ["Certificate", "InputMoments", "WeightSummary", "certificate", "certify", "summarise_weights"]
