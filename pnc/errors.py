"""The exceptions of `pnc`: each says what was got, what was expected and what to do next.

All of them derive from `PncError`. Bad input is also a `ValueError`, so that callers who know nothing of this
package can catch it.
"""

from __future__ import annotations

__all__ = ["InvalidInputError", "NotApplicableError", "PncError"]

_LONGEST = 1000  # characters of what was got


class PncError(Exception):
    """Base of every exception that the package raises on purpose.

    `exit_status` is that of the command line: 2 bad input, 4 inconclusive.
    """

    exit_status = 2


class InvalidInputError(PncError, ValueError):
    """Input that cannot be used.

    Args:
        got: what was received, with its numbers.
        expected: what would have been accepted.
        next_step: what the user can do about it.

    The three parts stay available as attributes.

    >>> str(InvalidInputError(got="epsilon = -1", expected="epsilon > 0", next_step="pass `epsilon=0.3`"))
    'got epsilon = -1; expected epsilon > 0; pass `epsilon=0.3`'
    """

    def __init__(self, *, got: str, expected: str, next_step: str) -> None:
        self.got = got
        self.expected = expected
        self.next_step = next_step
        # whatever was given, the line stays one that can be read; the attribute keeps all of it
        said = got if len(got) <= _LONGEST else f"{got[: _LONGEST // 2]}…{got[-_LONGEST // 2 :]}"
        super().__init__(f"got {said}; expected {expected}; {next_step}")


class NotApplicableError(PncError):
    """A statement of the theory was asked for where one of its assumptions does not hold.

    Args:
        statement: number of the statement in the theory note, such as `"T5"`.
        assumption: the assumption that fails, with the measured value.
        instead: the statement or call that does apply.

    >>> str(NotApplicableError(statement="T5", assumption="theta < 1, measured 3.2", instead="use T3"))
    'T5 does not apply: it needs theta < 1, measured 3.2; use T3'
    """

    def __init__(self, *, statement: str, assumption: str, instead: str) -> None:
        self.statement = statement
        self.assumption = assumption
        self.instead = instead
        super().__init__(f"{statement} does not apply: it needs {assumption}; {instead}")
