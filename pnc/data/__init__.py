"""Problems: synthetic draws, real data sets, saved files; and features saved layer by layer."""

from pnc.data.cifar import load_cifar
from pnc.data.download import data_folder
from pnc.data.fashion_mnist import load_fashion_mnist
from pnc.data.feature_shards import FEATURES_ACCEPTED, FeatureShards, holds_features, open_features
from pnc.data.files import FeatureFile, load_features, load_problem, save_features, save_problem
from pnc.data.idx import read_idx
from pnc.data.image_folder import load_image_folder
from pnc.data.image_sets import load_images
from pnc.data.images import ImageData
from pnc.data.inputs import GramProblem, Inputs, StreamedProblem
from pnc.data.labels import check_labels
from pnc.data.mnist import load_mnist
from pnc.data.preparation import Preparation
from pnc.data.preprocess import FittedPreprocessing, Preprocessing, preprocess
from pnc.data.problem import Problem
from pnc.data.sources import DATA_NAMES, resolve_data
from pnc.data.splits import Splits, load_splits, load_text_splits, split_options
from pnc.data.subset import first_of_each_class
from pnc.data.synthetic import draw, draw_gram
from pnc.data.text import FittedTfIdf, TextData, TfIdf
from pnc.data.text_files import load_text

__all__ = [
    "DATA_NAMES",
    "FEATURES_ACCEPTED",
    "FeatureFile",
    "FeatureShards",
    "FittedPreprocessing",
    "FittedTfIdf",
    "GramProblem",
    "ImageData",
    "Inputs",
    "Preparation",
    "Preprocessing",
    "Problem",
    "Splits",
    "StreamedProblem",
    "TextData",
    "TfIdf",
    "check_labels",
    "data_folder",
    "draw",
    "draw_gram",
    "first_of_each_class",
    "holds_features",
    "load_cifar",
    "load_fashion_mnist",
    "load_features",
    "load_image_folder",
    "load_images",
    "load_mnist",
    "load_problem",
    "load_splits",
    "load_text",
    "load_text_splits",
    "open_features",
    "preprocess",
    "read_idx",
    "resolve_data",
    "save_features",
    "save_problem",
    "split_options",
]
