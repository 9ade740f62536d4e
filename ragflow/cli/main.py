"""The boundary: every error becomes one line on stderr and an exit code; the traceback comes with ``--debug``."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

import ragflow
from ragflow.cli import adopt, archive, demo, dev, find, judge, models
from ragflow.cli import backup as safe
from ragflow.cli import forget as gone
from ragflow.cli import keys as who
from ragflow.cli import ocr as single
from ragflow.cli import prune as clear
from ragflow.cli import quarantine as kept_out
from ragflow.cli import reindex as anew
from ragflow.cli import reocr as again
from ragflow.cli import serve as service
from ragflow.cli.console import emit, err, options, set_up_logs
from ragflow.errors import RagflowError

app = typer.Typer(
    name="ragflow",
    help="An archive of PDFs and images goes in, a proven vector collection comes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        emit({"version": ragflow.__version__}, f"ragflow {ragflow.__version__}")
        raise typer.Exit


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set what holds for every command. ``--json`` may stand anywhere, see :func:`main`."""
    options.debug = options.debug or debug
    set_up_logs()


app.command()(archive.ingest)
app.command()(single.ocr)
app.command()(find.search)
app.command()(archive.status)
app.command()(archive.releases)
app.command()(archive.promote)
app.command()(archive.rollback)
app.command()(judge.evaluate)
app.command()(judge.tune)
app.command()(find.trace)
app.command()(find.check_proof)
app.command()(archive.verify)
app.command()(again.reocr)
app.command()(anew.reindex)
app.command()(safe.backup)
app.command()(safe.restore)
app.command()(clear.prune)
app.command()(gone.forget)
app.command()(adopt.adopt)
app.add_typer(kept_out.quarantine)
app.add_typer(models.models)
app.add_typer(who.keys)
app.command()(service.serve)
app.command()(demo.demo)
app.command()(dev.dev)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    ``--json`` and ``--debug`` are taken out before the command sees its arguments, so that they work before and after
    its name.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    plain = given[: given.index("--")] if "--" in given else given
    options.json = "--json" in plain
    options.debug = "--debug" in plain
    rest = [argument for argument in plain if argument not in ("--json", "--debug")] + given[len(plain) :]
    sys.exit(_run(rest))


def _run(arguments: list[str]) -> int:
    try:
        result: Any = app(args=arguments, standalone_mode=False)
        return int(result) if isinstance(result, int) else 0
    except RagflowError as error:
        return _fail(error.message, error.remedy, error.exit_code)
    except TyperException as error:
        message = error.format_message() if isinstance(error, typer.BadParameter.__mro__[2]) else str(error)
        return _fail(message, "See `ragflow --help`.", 2)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("Interrupted; what was finished is kept, and the same command goes on from there.", "", 130)
    except Exception as error:
        if options.debug:
            raise
        what = f"A defect of ours: {type(error).__name__}: {error}"
        return _fail(what, "Run it again with --debug and report what it prints.", 1)


def _fail(message: str, remedy: str, exit_code: int) -> int:
    if options.debug and sys.exc_info()[0] is not None:
        err.print_exception()
    line = " ".join(f"{message} {remedy}".split())
    if options.json:
        emit({"error": {"message": message, "remedy": remedy, "exit_code": exit_code}}, "")
    err.print(f"ragflow: {line}", style="red", markup=False)
    return exit_code


if __name__ == "__main__":
    main()
