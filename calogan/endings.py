"""How a command ends that cannot do its work or is stopped: one line and an exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from calogan.errors import CaloganError, ProcessLostError, TrainingInterrupted

__all__ = ["OrderlyGroup"]

_FAILED, _ERROR, _INTERRUPTED, _STOPPED = 1, 2, 130, 75  # 75: EX_TEMPFAIL of sysexits.h, run it again
_RESUMED, _NOTHING = ("run", "prepare", "train", "generate"), "nothing was written; run the same command again"
# What the extra `train` brings, by the names that Python imports.
_OPTIONAL = {
    *("jinja2", "matplotlib", "mlflow", "onnx", "onnxscript", "pandas", "psutil", "pynvml", "scipy", "sklearn"),
    "torch",
}


class OrderlyGroup(TyperGroup):
    """Turns what calogan refuses into one line and an exit code; a bug keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; end with a line and an exit code where it is refused or stopped."""
        try:
            with _stopping_in_order():
                return super().invoke(ctx)
        except TrainingInterrupted as error:
            code, text = _STOPPED, "" if error.said else str(error)
        except CaloganError as error:
            code = _FAILED if isinstance(error, ProcessLostError) else _ERROR
            text = "" if error.said else f"error: {' '.join(str(error).split())}"
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in _OPTIONAL:
                raise
            code, text = _ERROR, f"error: needs {missing}, which is not installed: pip install 'calogan[train]'"
        except KeyboardInterrupt:
            resumed = ctx.invoked_subcommand in _RESUMED
            what = "the same command goes on from what is there" if resumed else _NOTHING
            code, text = _INTERRUPTED, f"interrupted: {what}"
        if text:
            print(text, file=sys.stderr)  # noqa: T201
        raise typer.Exit(code)


@contextmanager
def _stopping_in_order() -> Iterator[None]:
    """Let a batch system's signals end the work as Ctrl-C does; training saves its state first."""

    def stop(number: int, _frame: FrameType | None) -> None:
        msg = f"stopped by {signal.Signals(number).name}; run the same command to go on"
        raise TrainingInterrupted(msg)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
