"""A linear support vector machine on features, through scikit-learn."""

from __future__ import annotations

import math
from typing import Any

from pnc.errors import InvalidInputError
from pnc.measure.readout.scikit_learn import fitted_accuracy, needs_scikit_learn

__all__ = ["check_strength", "linear_svm_accuracy"]


def check_strength(strength: float) -> None:
    """Refuse a strength of the SVM that is not a finite number above 0.

    Raises:
        InvalidInputError: another one.

    >>> check_strength(0.0)
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got strength = 0.0 of a linear SVM; expected a finite number above 0; ...
    """
    if not (math.isfinite(strength) and strength > 0):
        raise InvalidInputError(
            got=f"strength = {strength} of a linear SVM",
            expected="a finite number above 0",
            next_step="pass for instance `strength=1`",
        )


def linear_svm_accuracy(
    train: Any, train_labels: Any, test: Any, test_labels: Any, *, strength: float = 1.0, iterations: int = 20_000
) -> float:
    """Accuracy of scikit-learn's `LinearSVC` (one class against the rest) on test features, fitted to training ones.

        min ½‖w‖² + c Σ_i max(0, 1 - t_i (w·z_i + b))²

    The features are used at the scale that they are given in, since a scale of each entry's own would undo a projection
    to principal components: give them a root mean square norm of about 1.

    Args:
        train: (N, …) features, flattened.
        train_labels: (N,) labels.
        test: (M, …) features.
        test_labels: (M,) labels.
        strength: c, above 0.
        iterations: the most steps.

    Raises:
        InvalidInputError: another strength, scikit-learn is not installed, or the fit has not converged.

    >>> linear_svm_accuracy([[0.0], [1.0], [4.0], [5.0]], [0, 0, 1, 1], [[0.5], [4.5]], [0, 1])
    1.0
    """
    check_strength(strength)
    with needs_scikit_learn("a linear SVM"):
        from sklearn.svm import LinearSVC
    model = LinearSVC(C=strength, max_iter=iterations, dual="auto", random_state=0)
    return fitted_accuracy(
        model, (train, train_labels), (test, test_labels),
        got=f"a linear SVM that has not converged in {iterations} steps",
        next_step="scale the features to a norm of about 1, or allow more iterations or a smaller strength",
    )  # fmt: skip
