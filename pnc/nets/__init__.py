"""Networks: MLP, hybrid, deep linear, VGG, ResNet, projection heads; and anybody's own."""

from pnc.nets.activations import ACTIVATIONS
from pnc.nets.deep_linear import deep_linear
from pnc.nets.dense import DenseBody
from pnc.nets.hybrid import hybrid
from pnc.nets.initial import initialise, parse_initial
from pnc.nets.linear_tail import LinearTail
from pnc.nets.load import load_network, runs_code
from pnc.nets.low_rank import PROJECTIONS, LowRankLayer
from pnc.nets.low_rank_accuracy import captured_share, largest_angle
from pnc.nets.low_rank_nystrom import subspace_by_nystrom
from pnc.nets.low_rank_randomised import subspace_by_random_range
from pnc.nets.low_rank_svd import subspace_by_svd
from pnc.nets.mlp import mlp
from pnc.nets.network import Body, Network
from pnc.nets.projection_head import ProjectionHead
from pnc.nets.registry import NETWORKS, build
from pnc.nets.resnet import ResNetBody
from pnc.nets.text_encoder import encode_texts
from pnc.nets.vgg import VGGBody

__all__ = [
    "ACTIVATIONS",
    "NETWORKS",
    "PROJECTIONS",
    "Body",
    "DenseBody",
    "LinearTail",
    "LowRankLayer",
    "Network",
    "ProjectionHead",
    "ResNetBody",
    "VGGBody",
    "build",
    "captured_share",
    "deep_linear",
    "encode_texts",
    "hybrid",
    "initialise",
    "largest_angle",
    "load_network",
    "mlp",
    "parse_initial",
    "runs_code",
    "subspace_by_nystrom",
    "subspace_by_random_range",
    "subspace_by_svd",
]
