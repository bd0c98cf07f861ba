"""What is installed: `pnc`, and what `pnc reproduce` and `pnc verify` load, under names that no other package has.

The rest is in pyproject.toml. This file is here because setuptools takes either found packages or renamed ones there.
"""

from setuptools import find_packages, setup

RENAMED = {"sims": "pnc_experiments", "proofs_check": "pnc_proofs"}

found = find_packages(include=["pnc", "pnc.*", *RENAMED, *(f"{name}.*" for name in RENAMED)])
setup(
    packages=[".".join([RENAMED.get(head, head), *rest]) for head, *rest in (name.split(".") for name in found)],
    package_dir={installed: folder for folder, installed in RENAMED.items()},
)
