import os

# before NumPy is imported: the matrices here are small, and threads cost them more than they give
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.shapes import checked

__all__ = ["checked"]
