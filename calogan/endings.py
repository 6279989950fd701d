"""How a command ends that cannot do its work or is stopped: one line and an exit code."""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from calogan.errors import CaloganError, ProcessLostError, TrainingInterrupted
from calogan.redaction import redact

__all__ = ["OrderlyGroup", "ignore_signals"]

_FAILED, _ERROR, _INTERRUPTED, _STOPPED = 1, 2, 130, 75  # 75: EX_TEMPFAIL of sysexits.h, run it again
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_RESUMED, _NOTHING = (
    ("run", "prepare", "train", "launch", "sweep", "generate"),
    "nothing was written; run the same command again",
)
# What the extra `train` brings, by the names that Python imports.
_OPTIONAL = {
    *("jinja2", "matplotlib", "mlflow", "onnx", "onnxscript", "pandas", "psutil", "pynvml", "scipy", "sklearn"),
    "torch",
}
_EXTRA = {"optuna": "hpo", **dict.fromkeys(_OPTIONAL, "train")}


class _Stopped(KeyboardInterrupt):
    """A batch system's signal: like Ctrl-C, nothing on the way takes it for an error that it could go on from."""


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
            text = "" if error.said else f"error: {redact(' '.join(str(error).split()))}"
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in _EXTRA:
                raise
            extra = f"calogan[{_EXTRA[missing]}]"
            code, text = _ERROR, f"error: needs {missing}, which is not installed: pip install '{extra}'"
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            where = f"{error.filename}: " if error.filename else ""
            code, text = (
                _ERROR,
                f"error: {where}cannot write: {error.strerror}; make room and run the same command again",
            )
        except _Stopped as error:
            code, text = _STOPPED, f"stopped by {error}; run the same command to go on"
        except KeyboardInterrupt:
            resumed = ctx.invoked_subcommand in _RESUMED
            code = _STOPPED if resumed else _INTERRUPTED
            text = f"interrupted: {'the same command goes on from what is there' if resumed else _NOTHING}"
        if text:
            print(text, file=sys.stderr)  # noqa: T201
        raise typer.Exit(code)


def ignore_signals() -> None:
    """Keep a batch system's signals from ending a process that is not in a command: one that has done with it.

    Several may come for one stop; the second would otherwise replace the exit code of the first.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _stopping_in_order() -> Iterator[None]:
    """Let a batch system's signals end the work as Ctrl-C does; training saves its state first."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise _Stopped(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
