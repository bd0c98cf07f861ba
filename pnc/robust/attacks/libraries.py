"""The attack libraries: loaded when they are needed, and quietly."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from types import ModuleType

from pnc.errors import InvalidInputError

__all__ = ["load_art", "load_foolbox"]


def load_foolbox() -> ModuleType:
    """foolbox.

    Raises:
        InvalidInputError: it is not installed.
    """
    if importlib.util.find_spec("foolbox") is None:
        raise InvalidInputError(
            got="no package foolbox",
            expected="foolbox, which makes the attacks",
            next_step="pip install foolbox",
        )
    with warnings.catch_warnings():  # foolbox 3.3.4 imports a module that SciPy has renamed
        warnings.simplefilter("ignore")
        return importlib.import_module("foolbox")


def load_art() -> ModuleType:
    """The evasion attacks of the Adversarial Robustness Toolbox.

    Raises:
        InvalidInputError: it, or a package that its AutoAttack imports, is not installed.
    """
    # of these, the toolbox does not require multiprocess by itself
    for module, package in (("art", "adversarial-robustness-toolbox"), ("multiprocess", "multiprocess")):
        if importlib.util.find_spec(module) is None:
            raise InvalidInputError(
                got=f"no package {package}",
                expected="the Adversarial Robustness Toolbox, which has AutoAttack",
                next_step="pip install adversarial-robustness-toolbox multiprocess",
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("art.estimators.classification")
        return importlib.import_module("art.attacks.evasion")
