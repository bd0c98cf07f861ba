"""What the fields of a frozen spec say of themselves: the values they take, and how a command line offers them.

A field is declared once, where the spec is:

    epochs: Annotated[int, Whole(1), Option("Passes over the samples.", panel=TRAINING)] = 100

`check_fields(spec)` in `__post_init__` holds every field against its type and its limits; `pnc.cli.declared` makes the
options of a command, the keys of its configuration file and what `run.json` keeps of them out of the same lines.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import operator
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Real
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    Optional,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pnc.errors import InvalidInputError

__all__ = [
    "NOT_GIVEN",
    "Declared",
    "FilledIn",
    "Group",
    "Number",
    "Option",
    "Text",
    "Whole",
    "check_choice",
    "check_fields",
    "check_number",
    "check_whole",
    "declarations",
    "nearest",
    "shown",
]

_MOST = 2**63 - 1  # what arrays and torch hold as a whole number

T = TypeVar("T")

if TYPE_CHECKING:

    class FilledIn(Generic[T]):
        """A field that may be left out: `__post_init__` puts a value in place of `None`, so every spec holds one."""

        def __get__(self, spec: object, owner: type | None = None) -> T: ...

        def __set__(self, spec: object, value: T | None) -> None: ...

else:
    FilledIn = Optional

NOT_GIVEN: Any = None
"""`None` as the default of a `FilledIn` field."""


@dataclass(frozen=True)
class Whole:
    """A whole number from `least` to `most`; `expected` and `advice` take the place of the usual words."""

    least: int | None = None
    most: int = _MOST
    expected: str | None = None
    advice: str | None = None


@dataclass(frozen=True)
class Number:
    """A finite number: above or not below, below or not above the ends that are given."""

    above: float | None = None
    least: float | None = None
    below: float | None = None
    most: float | None = None
    expected: str | None = None
    advice: str | None = None


@dataclass(frozen=True)
class Text:
    """How a value that is not one word is written on a command line.

    Args:
        read: from the words to the value; a `ValueError` where they are none.
        write: from the value to the words.
        expected: what the words have to be.
        example: words that can be read.
        kind: what the command line itself reads: `str`, or `int` for a number with a meaning of its own.
    """

    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    expected: str = "a value"
    example: str = ""
    kind: type = str

    def value(self, name: str, words: Any) -> Any:
        """What the words say.

        Raises:
            InvalidInputError: they cannot be read.
        """
        try:
            return self.read(words)
        except ValueError:
            raise InvalidInputError(
                got=f"`{name}` {shown(words)}", expected=self.expected, next_step=f"pass for instance {self.example}"
            ) from None


@dataclass(frozen=True)
class Option:
    """How a command line offers a field.

    Args:
        help: what it says of it; a sentence, or `None` where the name says it.
        panel: heading under which `--help` lists it.
        name: its name there, in snake case; by default that of the field.
        metavar: what stands for its value.
        text: how its value is written, where that is more than one word.
        argument: whether it is given without a flag.
        choices: whether the names that a `Literal` allows are listed; otherwise any word is read, and refused by the
            spec with the nearest name.
        least: bound that the command line itself checks.
        switch: for truth values: whether `--no-NAME` is offered, too.
    """

    help: str | None = None
    panel: str | None = None
    name: str | None = None
    metavar: str | None = None
    text: Text | None = None
    argument: bool = False
    choices: bool = False
    least: int | None = None
    switch: bool = False


@dataclass(frozen=True)
class Group:
    """How a spec within another one is offered, where that differs from what its fields say.

    Args:
        only: names of the fields that are options here, in their order; `None`: all.
        options: field → what it says of itself here.
        defaults: field → its default here.
        stated: a spec for a parameter that is a mapping: of what was given for its fields, and nothing else.
    """

    only: tuple[str, ...] | None = None
    options: Mapping[str, Option] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    stated: type | None = None


class Declared(NamedTuple):
    """A field as `declarations` finds it; `kinds` are its types without `None`, `default` is `MISSING` where it has
    none."""

    name: str
    kinds: tuple[Any, ...]
    optional: bool
    limits: Whole | Number | None
    option: Option | None
    group: Group | None
    default: Any


@cache
def declarations(spec: type) -> tuple[Declared, ...]:
    """The fields of a dataclass in their order, with what they say of themselves.

    >>> from pnc.spec import SimulationSpec
    >>> next(field for field in declarations(SimulationSpec) if field.name == "steps").limits.least
    1
    """
    hints = get_type_hints(spec, include_extras=True)
    found = []
    for field in dataclasses.fields(spec):
        kind, *said = get_args(hints[field.name]) if _is(hints[field.name], Annotated) else (hints[field.name],)
        kinds = get_args(kind) if _is(kind, Union) or isinstance(kind, types.UnionType) else (kind,)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found.append(
            Declared(
                name=field.name,
                kinds=tuple(one for one in kinds if one is not type(None)),
                optional=type(None) in kinds,
                limits=next((one for one in said if isinstance(one, Whole | Number)), None),
                option=next((one for one in said if isinstance(one, Option)), None),
                group=next((one for one in said if isinstance(one, Group)), None),
                default=default,
            )
        )
    return tuple(found)


def _is(kind: Any, origin: Any) -> bool:
    return get_origin(kind) is origin


def check_fields(spec: Any) -> None:
    """Hold every field of a frozen spec against its type and its limits, and set it to the plain value that it means.

    NumPy's whole numbers become `int`, lists become tuples. `None` passes where the field allows it. Fields of other
    types (nested specs, paths, words) are left alone.

    Raises:
        InvalidInputError: a value of another type, a number out of range, an unknown name.
    """
    for field in declarations(type(spec)):
        value = getattr(spec, field.name)
        if value is None and field.optional:
            continue
        object.__setattr__(spec, field.name, _checked(field, value))


def _checked(field: Declared, value: Any) -> Any:
    name, limits = field.name, field.limits
    sequences = [kind for kind in field.kinds if _is(kind, tuple)]
    if sequences and not isinstance(value, str) and isinstance(value, Iterable):
        (item, *_) = get_args(sequences[0])
        inner = field._replace(kinds=(item,), optional=False)
        return tuple(_checked(inner, one) for one in value)
    named = [kind for kind in field.kinds if _is(kind, Literal)]
    if named and (len(field.kinds) == 1 or isinstance(value, str)):
        return check_choice(name, value, get_args(named[0]))
    if bool in field.kinds:
        if not isinstance(value, bool):
            raise InvalidInputError(
                got=f"{name} = {shown(value)}",
                expected="true or false",
                next_step=f"pass `{name}=True`, or leave it out",
            )
        return value
    if int in field.kinds:
        limits = limits if isinstance(limits, Whole) else Whole()
        return check_whole(name, value, limits.least, limits.most, expected=limits.expected, advice=limits.advice)
    if float in field.kinds:
        limits = limits if isinstance(limits, Number) else Number()
        return check_number(name, value, limits)
    if field.kinds == (str,) and not isinstance(value, str):
        raise InvalidInputError(
            got=f"{name} = {shown(value)}", expected="a word", next_step=f"pass a word for `{name}`"
        )
    return value


def check_whole(
    name: str,
    value: Any,
    least: int | None = None,
    most: int = _MOST,
    *,
    expected: str | None = None,
    advice: str | None = None,
) -> int:
    """`value` as an `int` from `least` to `most`; NumPy's integers are taken, fractions and truth values are not.

    Raises:
        InvalidInputError: not a whole number, or out of range.

    >>> check_whole("width", 3, 1)
    3
    >>> check_whole("width", 0, 1)
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got width = 0; expected a whole number, 1 or more; pass for instance `width=1`
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is not None and (least is None or number >= least) and number <= most:
        return number
    usual = "a whole number" if least is None else f"a whole number, {least} or more"
    if number is None:  # what the limits say of numbers does not help here
        expected, advice = usual, f"pass a whole number for `{name}`"
    elif number > most:
        expected, advice = f"a whole number, {shown(most)} or less", None
    raise InvalidInputError(
        got=f"{name} = {shown(value)}",
        expected=expected or usual,
        next_step=advice or f"pass for instance `{name}={0 if least is None else least}`",
    )


def check_number(name: str, value: Any, limits: Number | None = None) -> float:
    """`value`, which has to be a finite number within the limits.

    Raises:
        InvalidInputError: not a number, not finite, or out of range.

    >>> check_number("learning_rate", 0, Number(above=0))
    Traceback (most recent call last):
    pnc.errors.InvalidInputError: got learning_rate = 0; expected a finite number above 0; pass another `learning_rate`
    """
    limits = limits or Number()
    if _is_within(value, limits):
        return value
    ends = [
        f"{words} {end:g}"
        for words, end in (
            ("above", limits.above),
            ("not below", limits.least),
            ("below", limits.below),
            ("not above", limits.most),
        )
        if end is not None
    ]
    raise InvalidInputError(
        got=f"{name} = {shown(value)}",
        expected=limits.expected or " ".join(["a finite number", " and ".join(ends)]).strip(),
        next_step=limits.advice or f"pass another `{name}`",
    )


def _is_within(value: Any, limits: Number) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond double precision
        return False
    return math.isfinite(number) and not (
        (limits.above is not None and number <= limits.above)
        or (limits.least is not None and number < limits.least)
        or (limits.below is not None and number >= limits.below)
        or (limits.most is not None and number > limits.most)
    )


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """`value`, which has to be one of the names.

    Raises:
        InvalidInputError: it is not; the nearest name is said.
    """
    if not (isinstance(value, str) and value in choices):
        error = nearest(name, value, choices)
        step = error.next_step if error.next_step.startswith("did") else f"pass one of these as `{name}`"
        raise InvalidInputError(got=error.got, expected=error.expected, next_step=step)
    return value


def nearest(what: str, got: Any, choices: Iterable[str]) -> InvalidInputError:
    """The error for a name that does not exist, with the nearest one that does.

    >>> print(nearest("network", "resnet18", ["mlp", "resnet-18"]))
    got network = 'resnet18'; expected one of mlp, resnet-18; did you mean resnet-18?
    """
    names = list(choices)
    near = difflib.get_close_matches(str(got).lower(), names, n=1)
    return InvalidInputError(
        got=f"{what} = {shown(got)}",
        expected=f"one of {', '.join(names)}",
        next_step=f"did you mean {near[0]}?" if near else "choose one of these",
    )


def shown(value: Any, most: int = 80) -> str:
    """`repr` of a value, short enough for one line.

    >>> shown(10**60), shown("x" * 200, most=20)
    ('a number of 61 digits', "'xxxxxxxx…xxxxxxxxx'")
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        # its digits are not written out: Python refuses to print more than 4,300 of them
        return f"a number of {math.floor(math.log10(abs(value))) + 1} digits"
    try:
        text = repr(value)
    except ValueError:  # such a number within
        return f"a {type(value).__name__} of enormous numbers"
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most // 2) :]}"
