"""The command `nrbench`: its verbs, each imported when it is used, and its exit codes."""

from __future__ import annotations

import io
import os
import re
import sys
import traceback
from contextlib import suppress
from importlib import import_module
from keyword import iskeyword
from pathlib import Path

import click
from click.shell_completion import shell_complete

from nrbench.base.errors import NrbenchError, StoreError, SuiteError, printable

COMMANDS = {
    "run": "Train and judge what a suite asks for, and write its leaderboard.",
    "plan": "Say what a run would compute, and what it would cost.",
    "status": "Say how far a suite is, also while another process runs it.",
    "report": "Write the leaderboard of what is stored, without computing anything.",
    "validate": "Check suites without training anything; every mistake is shown with its place.",
    "ls": "List the components that are installed, the plugins they come from, or the suites that come with nrbench.",
    "show": "Describe a component: what it is, its parameters and their defaults, its source and its plugin.",
    "schema": "Print the JSON Schema of a suite, of leaderboard.json or of a component.",
    "judge": "Judge weights that were trained anywhere, and print the suite that this amounts to.",
    "bench": "Measure what a suite's training steps and evaluations cost on this machine; nothing is stored.",
    "landscape": "Measure and draw the loss around the weights that cells were judged on.",
    "compare": "Say what became of the rows that two leaderboards have in common.",
    "verify": "Judge stored weights again and hold the counts against those that are stored.",
    "submit": "Write a row as a bundle that anybody can verify, and merge into a board of their own.",
    "merge": "Bring several studies together on one leaderboard.",
    "site": "Write a static site: an index of several boards, the newest first, with each row's bundle beside it.",
    "clean": "Say what a directory of results holds by size and age and, if asked, remove what no suite needs.",
    "export": "Write the weights that a cell was judged on, in the safetensors format.",
    "import": "Bring in the results of another machine.",
    "new": "Make a package of your own.",
    "doctor": "Check that this installation can do its work.",
}
"""The verbs, each with the first sentence of its documentation, so that `--help` imports none of them."""

_CTRL_C = 130
COMPLETION = "_NRBENCH_COMPLETE"
"""Set by a shell that asks what can come next: `eval "$(_NRBENCH_COMPLETE=bash_source nrbench)"`."""


class Verbs(click.Group):
    """A group whose commands are imported when they are used: the verb `x` is `command` in the file `x.py`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"nrbench.cli.{cmd_name}{'_' * iskeyword(cmd_name)}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="nrbench")
def cli() -> None:
    """Benchmark training methods for neural networks whose weights get corrupted.

    SUITE is a YAML file, or the name of a suite that comes with nrbench, such as quickstart.
    """


def main() -> None:
    """Run the command line and leave with its exit code."""
    _prepare_output()
    if instruction := os.environ.get(COMPLETION):
        sys.exit(shell_complete(cli, {}, "nrbench", COMPLETION, instruction))
    try:
        Path.cwd()  # where it is gone, libraries below end the process in their own way
        with cli.make_context("nrbench", sys.argv[1:]) as context:  # click's own main takes a closed pipe for a failure
            code = cli.invoke(context)
            sys.stdout.flush()
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.exceptions.Abort as error:  # Ctrl-C outside of a run; click also takes an EOFError for one
        reason = f"{error.__cause__!r}" if isinstance(error.__cause__, EOFError) else "stopped"
        click.echo(f"nrbench: {reason}", err=True)
        code = _CTRL_C
    except NrbenchError as error:
        code = error.exit_code
        if any(re.fullmatch("-v+|--verbose", argument) for argument in sys.argv[1:]):
            traceback.print_exc()
        elif isinstance(error, SuiteError):
            for problem in error.problems:
                _complain(problem.with_source())
        else:
            _complain(f"nrbench: {error}")
    except KeyboardInterrupt:
        code = _CTRL_C
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:  # a full disk behind standard output, a working directory that is gone, a name too long
        _complain(f"nrbench: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = StoreError.exit_code
    sys.exit(code or 0)


def _complain(text: str) -> None:
    """Write what is wrong to standard error, a line at a time."""
    with suppress(OSError):  # there is nobody to tell
        for line in text.splitlines():
            click.echo(printable(line), err=True)


def _prepare_output() -> None:
    """Let any text be written to any terminal: what its encoding lacks becomes a question mark; closed is /dev/null."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
