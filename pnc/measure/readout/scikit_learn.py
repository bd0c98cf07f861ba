"""Classifiers of scikit-learn, which is optional: fitted to some features and tried on others."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pnc.errors import InvalidInputError
from pnc.measure.arrays import as_matrix

__all__ = ["fitted_accuracy", "needs_scikit_learn"]


@contextmanager
def needs_scikit_learn(what: str, *, instead: str = "") -> Iterator[None]:
    """While it is imported.

    Raises:
        InvalidInputError: it is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise InvalidInputError(
            got=f"{what} without scikit-learn",
            expected="scikit-learn installed",
            next_step=f"pip install scikit-learn{instead}",
        ) from error


def fitted_accuracy(model: Any, train: tuple[Any, Any], test: tuple[Any, Any], *, got: str, next_step: str) -> float:
    """Accuracy on (features, labels) of a classifier that is fitted to others, all in float64.

    Raises:
        InvalidInputError: the fit has not converged; `got` and `next_step` say so.
    """
    from sklearn.exceptions import ConvergenceWarning

    features, tried = (as_matrix(some).double().cpu().numpy() for some, _ in (train, test))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(features, np.asarray(train[1]))
        except ConvergenceWarning as warning:
            raise InvalidInputError(got=got, expected="a converged fit", next_step=next_step) from warning
    return float(model.score(tried, np.asarray(test[1])))
