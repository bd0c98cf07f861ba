"""The command line: one thin file a command.

Exit status: 0 fine, 2 bad usage or input, 3 theory and measurement disagree, 4 inconclusive.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from pnc import __version__
from pnc.cli.choose import choose
from pnc.cli.cite import cite
from pnc.cli.compare import compare
from pnc.cli.compress import compress
from pnc.cli.flags import Command
from pnc.cli.measure import measure
from pnc.cli.output import printable
from pnc.cli.predict import predict
from pnc.cli.report import report
from pnc.cli.reproduce import reproduce
from pnc.cli.robustness import robustness
from pnc.cli.simulate import simulate
from pnc.cli.streams import discard_output, prepare_streams
from pnc.cli.sweep import sweep
from pnc.cli.tail import tail
from pnc.cli.train import train
from pnc.cli.verify import verify
from pnc.errors import PncError

__all__ = ["COMMANDS", "app", "main"]

_NO_MEMORY = ("out of memory", "can't allocate memory")
_TOO_LARGE = (
    "got a problem larger than the memory ({}); expected one that fits; "
    "use fewer samples, a smaller --width or --batch-size, or --coordinates reduced"
)

COMMANDS = (
    predict, simulate, train, sweep, reproduce, measure, choose, tail, compress, compare, robustness, report, verify,
    cite,
)  # fmt: skip

app = typer.Typer(
    help="Theory of what each layer of a deep network does to its classes, held against experiment.",
    epilog="Exit status: 0 fine, agrees or follows; 2 bad input; 3 disagrees, departs or masked; 4 inconclusive.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
EXAMPLES = {
    "predict": "pnc predict --depth 6 --epsilon 0.3",
    "simulate": "pnc simulate --depth 6 --epsilon 0.3 --out run",
    "train": "pnc train mlp --data fashion-mnist --depth 7 --epochs 20 --out run",
    "sweep": "pnc sweep --depth 3:6 --epsilon 0.2,0.4 --seeds 5 --out sweep",
    "reproduce": "pnc reproduce fig6 --scale smoke",
    "measure": "pnc measure run --out measured",
    "choose": "pnc choose run",
    "tail": "pnc tail run --limit 0.01",
    "compress": "pnc compress run --site body.4 --dimensions 2,5,10",
    "compare": "pnc compare predicted.json measured.json",
    "robustness": "pnc robustness run --radius 4/255,8/255 --samples-per-class 20",
    "report": "pnc report run-1 run-2 --out side-by-side",
    "verify": "pnc verify T2",
    "cite": "pnc cite simulate",
}
"""Command → what a first call of it may look like; at the end of its help."""

for command in COMMANDS:
    example = EXAMPLES.get(command.__name__)
    app.command(cls=Command, epilog=None if example is None else f"Example: {example}")(command)


def _version(asked: bool) -> None:
    if asked:
        print(f"pnc {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="No colours; NO_COLOR in the environment likewise.")
    ] = False,
) -> None:
    if no_color:
        os.environ["NO_COLOR"] = "1"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input and bad usage become one line on stderr and exit status 2, a training that
    diverged likewise and 4."""
    prepare_streams()
    try:
        status: Any = app(args=arguments, standalone_mode=False)
        sys.stdout.flush()
    except PncError as error:
        _fail(str(error), status=error.exit_status)
    except MemoryError as error:
        _fail(_TOO_LARGE.format(error))
    except OverflowError as error:
        _fail(
            f"got numbers beyond double precision ({error.args[-1]}); expected sizes and scales that it can hold; "
            "use an --epsilon and a --label-scale nearer to 1"
        )
    except (BrokenPipeError, SystemExit):  # the reader of our output has gone; Typer makes the latter of the former
        discard_output()
        status = 0
    except OSError as error:
        discard_output()
        place = "" if error.filename is None else f"{error.filename}: "
        _fail(
            f"got {place}{error.strerror or error}; expected files that can be read and an output that can be written; "
            "check the place, or make room"
        )
    except KeyboardInterrupt:
        status = 130
    except Exception as error:
        if any(words in str(error) for words in _NO_MEMORY):  # torch's errors are of no class of their own
            _fail(_TOO_LARGE.format(str(error).split("\n")[0]))
        # a usage error of the argument parser: it knows how to say what is wrong
        told = getattr(error, "format_message", None)
        if told is None:
            raise
        if not told():  # no arguments: the help has been printed
            sys.exit(2)
        _fail(f"{told().rstrip('.')}. See pnc --help.")
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, *, status: int = 2) -> NoReturn:
    print(f"pnc: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(status)
