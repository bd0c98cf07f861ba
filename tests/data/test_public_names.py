"""What `pnc.data` offers, and what importing it costs."""

import subprocess
import sys

import pnc.data


def test_every_public_name_is_there():
    assert sorted(pnc.data.__all__) == pnc.data.__all__
    for name in pnc.data.__all__:
        assert getattr(pnc.data, name) is not None


def test_importing_it_loads_nothing_heavy():
    heavy = ("torch", "scipy", "xarray", "matplotlib", "safetensors", "sympy")
    program = f"import sys, pnc.data; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
