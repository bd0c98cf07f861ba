"""The options of a command, made out of the fields that its specs declare.

    @declared(config=True)
    def train(request: TrainRequest, out: OutOption = None, json: JsonOption = False) -> None: ...

is a command with an option for every declared field of `TrainRequest` and of the specs within it; when it runs, the
specs are built from what was parsed. `--config` takes the same options out of a TOML file or of a run that was
recorded; what is given on the command line wins.
"""

from __future__ import annotations

import enum
import functools
import inspect
import json
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import typer

from pnc.errors import InvalidInputError
from pnc.fields import Declared, Group, Option, declarations, nearest, shown
from pnc.toml_file import read_toml

__all__ = ["declared", "offered"]


@dataclass(frozen=True)
class _Leaf:
    """One option: the field that it fills, and how it is offered here."""

    field: Declared
    option: Option
    default: Any  # of the field, here
    asked: bool  # whether a command without it is still complete

    @property
    def name(self) -> str:
        return self.option.name or self.field.name

    @property
    def repeated(self) -> bool:
        return self.option.text is None and any(get_origin(kind) is tuple for kind in self.field.kinds)

    @property
    def kind(self) -> Any:
        """What the command line reads."""
        if self.option.text is not None:
            return self.option.text.kind
        if self.repeated:
            return list[str]
        for kind in self.field.kinds:
            if get_origin(kind) is Literal:
                return _choices(self.name, get_args(kind)) if self.option.choices else str
        return next(kind for kind in self.field.kinds if kind in (bool, int, float, str, Path))

    def parameter(self) -> inspect.Parameter:
        """The option as Typer reads it from a signature."""
        option, kind = self.option, self.kind
        if option.argument:
            said: Any = typer.Argument(help=option.help, metavar=option.metavar, rich_help_panel=option.panel)
        else:
            flag = "--" + self.name.replace("_", "-")
            said = typer.Option(
                f"{flag}/--no-{flag[2:]}" if option.switch else flag,
                metavar=option.metavar,
                help=option.help,
                rich_help_panel=option.panel,
                min=option.least,
            )
        default = inspect.Parameter.empty if self.default is MISSING and self.asked else self.words(self.default)
        annotation = Annotated[Union[kind, None] if default is None else kind, said]  # noqa: UP007
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    def words(self, value: Any) -> Any:
        """A value as the command line reads it."""
        if value is None or value is MISSING:
            return None
        if self.option.text is not None:
            return self.option.text.write(value)
        if self.repeated:
            return [str(one) for one in value]
        kind = self.kind
        return kind(value) if isinstance(kind, type) and issubclass(kind, enum.Enum) else value

    def value(self, words: Any) -> Any:
        """What the words of the command line say."""
        if self.option.text is not None:
            return self.option.text.value(self.name, words)
        if isinstance(words, enum.Enum):
            return words.value
        return tuple(words) if isinstance(words, list | tuple) else words


@dataclass(frozen=True)
class _Spec:
    """A spec, the options of which are its fields and those of the specs within it."""

    kind: type
    optional: bool
    members: Mapping[str, _Leaf | _Spec]
    bare: bool = False  # a mapping of what is given, in place of the spec

    def leaves(self) -> Iterator[_Leaf]:
        for member in self.members.values():
            yield from member.leaves() if isinstance(member, _Spec) else [member]

    def build(self, values: Mapping[str, Any]) -> Any:
        """The spec, or the mapping, that the parsed values describe; `None` for a spec that was not asked for.

        Raises:
            InvalidInputError: what the spec refuses; options of a spec of which what it needs is not given.
        """
        given: dict[str, Any] = {}
        for name, member in self.members.items():
            if isinstance(member, _Spec):
                built = member.build(values)
                if built is not None:
                    given[name] = built
            elif values[member.name] is not None and values[member.name] != []:
                given[name] = member.value(values[member.name])
        if self.bare:
            return given
        if self.optional:
            needed = next(iter(self.members))
            if needed not in given:
                for name in given:
                    raise InvalidInputError(
                        got=f"`{_name(self.members[name], name)}` without `{_name(self.members[needed], needed)}`",
                        expected="both, or neither",
                        next_step=f"pass `{_name(self.members[needed], needed)}`, too",
                    )
                return None
        return self.kind(**given)

    def words(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A spec that was recorded as nested JSON, in the words of the command line."""
        found: dict[str, Any] = {}
        for name, member in self.members.items():
            if name not in record:
                continue
            if isinstance(member, _Spec):
                if isinstance(record[name], Mapping):
                    found |= member.words(record[name])
            elif record[name] is not None:
                found[member.name] = member.words(record[name])
            elif member.option.text is not None and member.option.text.kind is int:  # a number that stands for none
                found[member.name] = member.option.text.write(None)
        return found


def _name(member: _Leaf | _Spec, name: str) -> str:
    return member.name if isinstance(member, _Leaf) else name


@functools.cache
def _choices(name: str, values: tuple[str, ...]) -> type[enum.Enum]:
    return cast("type[enum.Enum]", enum.StrEnum(f"{name}_choice", {value: value for value in values}))


def _spec(kind: type, group: Group | None = None, *, optional: bool = False) -> _Spec:
    group = group or Group()
    members: dict[str, _Leaf | _Spec] = {}
    fields = {field.name: field for field in declarations(kind)}
    for name in group.only or fields:
        field = fields[name]
        nested = next((one for one in field.kinds if is_dataclass(one)), None)
        if isinstance(nested, type):
            members[field.name] = _spec(nested, field.group, optional=field.optional and field.default is None)
            continue
        option = group.options.get(field.name, field.option)
        if option is None:
            continue
        default = group.defaults.get(field.name, field.default)
        # of a spec that may be left out altogether no option is set by itself
        members[field.name] = _Leaf(field, option, None if optional else default, asked=not optional)
    return _Spec(kind, optional, members)


def offered(command: Callable[..., Any]) -> list[str]:
    """The names of the options that `declared` made for a command."""
    return [leaf.name for spec in getattr(command, "__specs__", {}).values() for leaf in spec.leaves()]


def declared(*, config: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Put an option for every declared field in the place of each parameter that is a spec.

    A field that several specs have (`seed`) is one option, given to all of them.

    Args:
        config: whether the command takes `--config`.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        specs: dict[str, _Spec] = {}
        parameters: dict[str, inspect.Parameter] = {}
        for parameter in signature.parameters.values():
            spec = _spec_of(parameter.annotation)
            if spec is None:
                parameters[parameter.name] = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
                continue
            specs[parameter.name] = spec
            for leaf in spec.leaves():
                parameters.setdefault(leaf.name, leaf.parameter())
        plain = [name for name in signature.parameters if name not in specs]
        if config:
            parameters["config"] = _config_parameter(command.__name__, specs, set(parameters))

        @functools.wraps(command)
        def run(**values: Any) -> None:
            built = {name: spec.build(values) for name, spec in specs.items()}
            command(**built, **{name: values[name] for name in plain})

        return _dressed(run, signature.replace(parameters=list(parameters.values())), specs)

    return decorate


def _dressed(run: Any, signature: inspect.Signature, specs: Mapping[str, _Spec]) -> Callable[..., None]:
    """The function with the signature that Typer is to see."""
    run.__signature__ = signature
    run.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    run.__specs__ = specs
    return run


def _spec_of(annotation: Any) -> _Spec | None:
    """The options of a parameter that is a spec; `None` for any other parameter."""
    group, optional = None, False
    if get_origin(annotation) is Annotated:
        annotation, *said = get_args(annotation)
        group = next((one for one in said if isinstance(one, Group)), None)
        if group is not None and group.stated is not None:
            return replace(_spec(group.stated, group, optional=True), bare=True)
    if isinstance(annotation, types.UnionType) or get_origin(annotation) is Union:
        kinds = [one for one in get_args(annotation) if one is not type(None)]
        annotation, optional = kinds[0], len(kinds) < len(get_args(annotation))
    if not (isinstance(annotation, type) and is_dataclass(annotation)):
        return None
    if not any(field.option or any(map(is_dataclass, field.kinds)) for field in declarations(annotation)):
        return None
    return _spec(annotation, group, optional=optional)


def _config_parameter(command: str, specs: Mapping[str, _Spec], known: set[str]) -> inspect.Parameter:
    """`--config`: it is read before any other option, and takes the place of their defaults."""

    def read(context: typer.Context, value: Path | None) -> Path | None:
        if value is not None:
            stated = _recorded(command, specs, value) if value.is_dir() else _stated(value, specs, known)
            context.default_map = {**(context.default_map or {}), **stated}
        return value

    said = typer.Option(
        "--config",
        metavar="FILE|RUN",
        help="A TOML file with these options as keys, or the folder of a run to repeat; options given besides win.",
        callback=read,
        is_eager=True,
    )
    return inspect.Parameter(
        "config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[Path | None, said]
    )


def _stated(path: Path, specs: Mapping[str, _Spec], known: set[str]) -> dict[str, Any]:
    """The keys of a TOML file as words of the command line."""
    leaves = {leaf.name: leaf for spec in specs.values() for leaf in spec.leaves()}
    found = {}
    for key, value in read_toml(path, instead="state the options on the command line").items():
        name = key.replace("-", "_")
        if name not in known:
            near = nearest("key", name, sorted(known))
            raise InvalidInputError(
                got=f"the unknown key {shown(key)} in {path}", expected=near.expected, next_step=near.next_step
            )
        found[name] = _as_words(name, value, leaves.get(name), path)
    return found


def _as_words(name: str, value: Any, leaf: _Leaf | None, path: Path) -> Any:
    """A TOML value as if it had been typed: what is typed wrongly is refused alike."""
    if isinstance(value, list):
        if leaf is not None and leaf.repeated:
            return [str(one) for one in value]
        if leaf is not None and leaf.option.text is not None and leaf.option.text.kind is str:
            return ",".join(map(str, value))
    elif leaf is not None and leaf.repeated and isinstance(value, str):
        return [value]
    elif isinstance(value, bool):
        if leaf is None or leaf.kind is bool:
            return value
    elif isinstance(value, int | float | str) and (leaf is None or leaf.kind is not bool):
        return str(value)
    raise InvalidInputError(
        got=f"{name} = {shown(value)} in {path}",
        expected=f"a value of the kind that `{name}` takes",
        next_step=f"correct `{name}` there",
    )


def _recorded(command: str, specs: Mapping[str, _Spec], folder: Path) -> dict[str, Any]:
    """What run.json keeps of a run that the same command wrote, as words of the command line."""
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        request, wrote = record["request"], record["command"]
    except OSError as error:
        raise InvalidInputError(
            got=f"{folder}/run.json: {error.strerror}",
            expected="the folder of a run",
            next_step="pass a run folder, or a TOML file",
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidInputError(
            got=f"{folder}/run.json, which does not say what was asked for",
            expected=f"a run that this version of `pnc {command}` wrote",
            next_step="state the options on the command line, or in a TOML file",
        ) from None
    if wrote != command or not isinstance(request, Mapping):
        raise InvalidInputError(
            got=f"{folder}, a run of `pnc {shown(wrote)[1:-1]}`",
            expected=f"one of `pnc {command}`",
            next_step=f"run `pnc {shown(wrote)[1:-1]} --config {folder}`",
        )
    found: dict[str, Any] = {}
    for spec in specs.values():
        found |= spec.words(request)
    return found
