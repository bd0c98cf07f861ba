"""Problems: synthetic draws, real data sets, saved files; and features saved layer by layer."""

from pnc.data.fashion_mnist import load_fashion_mnist
from pnc.data.files import FeatureFile, load_features, load_problem, save_features, save_problem
from pnc.data.idx import read_idx
from pnc.data.labels import check_labels
from pnc.data.preprocess import FittedPreprocessing, Preprocessing, preprocess
from pnc.data.problem import Problem
from pnc.data.sources import DATA_NAMES, resolve_data
from pnc.data.synthetic import draw

__all__ = [
    "DATA_NAMES",
    "FeatureFile",
    "FittedPreprocessing",
    "Preprocessing",
    "Problem",
    "check_labels",
    "draw",
    "load_fashion_mnist",
    "load_features",
    "load_problem",
    "preprocess",
    "read_idx",
    "resolve_data",
    "save_features",
    "save_problem",
]
