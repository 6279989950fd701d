"""The last state of a training on disk and the one before it, each with the hash of what it holds."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from calogan.atomic import sync_folder, write_durably
from calogan.errors import TrainingError
from calogan.progress import Reporter
from calogan.training.state import FORMAT, TrainingState

__all__ = ["Checkpoint"]

FAILURES = 3
"""States in a row that may not be saved, as on a full disk, before a training gives up."""
_MARK = b"\nsha256 "
_TRAILER = len(_MARK) + 2 * hashlib.sha256().digest_size


class Checkpoint:
    """The last state of a training, and beside it the one before, ``NAME.previous.pt``.

    A file is what torch.save makes and, at its end, a line with the SHA-256 of that: a file that is cut short or in
    which a bit has changed is noticed, and the other one is used. A kill at any instant leaves at least one whole file.

    Args:
        path: File of the last state.
        fingerprint: Hash of what must be the same to go on (configuration and data).
        reporter: Warned of damaged files, and of states that cannot be saved.
        saved: Called with the step of each state that is saved.
    """

    def __init__(
        self, path: Path, fingerprint: str, reporter: Reporter, saved: Callable[[int], None] = lambda _step: None
    ) -> None:
        self.path, self._fingerprint, self._reporter, self._saved = path, fingerprint, reporter, saved
        self._last_is_whole = False
        self._step: int | None = None
        self._failures = 0

    @property
    def previous(self) -> Path:
        """File of the state before the last."""
        return self.path.with_name(f"{self.path.stem}.previous{self.path.suffix}")

    def exists(self) -> bool:
        """Whether there is a state to go on from, whole or not."""
        return self.path.exists() or self.previous.exists()

    def save(self, state: TrainingState) -> None:
        """Make a state the last one; a last one that is not known to be whole does not become the one before it.

        Raises:
            OSError: It cannot be written; what was there is still there.
        """
        # In memory first: a disk that is full while torch.save writes to it is an error without a cause.
        buffer = io.BytesIO()
        torch.save({"format": FORMAT, "fingerprint": self._fingerprint, **state.content()}, buffer)
        body = buffer.getbuffer()
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        write_durably(temporary, body, _MARK, hashlib.sha256(body).hexdigest().encode())
        if self._last_is_whole:
            self.path.replace(self.previous)
            self._last_is_whole = False
        temporary.replace(self.path)
        self._last_is_whole = True
        self._step, self._failures = state.step, 0
        sync_folder(self.path.parent)

    def save_or_warn(self, state: TrainingState) -> None:
        """Make a state the last one if that is possible: a full disk may have room again later.

        Raises:
            TrainingError: It is not possible for the third time in a row.
        """
        try:
            self.save(state)
        except OSError as error:
            self._failures += 1
            if self._failures == FAILURES:
                raise self._unsaved(state, error) from error
            self._reporter.warning(
                f"{self._describe(state, error)}; training gives up if that happens {FAILURES} times in a row "
                f"({self._failures} so far)"
            )
        else:
            self._saved(state.step)

    def save_last(self, state: TrainingState) -> None:
        """Make the state at the end of a training the last one.

        Raises:
            TrainingError: It cannot be written.
        """
        try:
            self.save(state)
        except OSError as error:
            raise self._unsaved(state, error) from error
        self._saved(state.step)

    def _unsaved(self, state: TrainingState, error: OSError) -> TrainingError:
        return TrainingError(f"{self._describe(state, error)}; make room there, and run the same command again")

    def _describe(self, state: TrainingState, error: OSError) -> str:
        kept = "there is none before it" if self._step is None else f"that of step {self._step} is kept"
        return f"{self.path}: the state of step {state.step} cannot be saved ({error.strerror or error}), {kept}"

    def find(self) -> Path | None:
        """The file to go on from, for `load`: the last one or, with a warning, the one before it; None without any.

        Of several processes the first looks, and tells the others what it has found.

        Raises:
            TrainingError: There are files, but none is whole.
        """
        damaged: list[str] = []
        for path in (self.path, self.previous):
            try:
                self._step = int(_read(path)["step"])
            except FileNotFoundError:
                continue
            except ValueError as error:
                damaged.append(f"{path} {error}")
                continue
            if damaged:
                self._reporter.warning(f"{damaged[0]}; going on from the one before it, of step {self._step} ({path})")
            self._last_is_whole = path == self.path
            return path
        if damaged:
            msg = f"no whole checkpoint: {'; '.join(damaged)}; remove {self.path.parent} to start again"
            raise TrainingError(msg)
        return None

    def load(self, path: Path, state: TrainingState) -> None:
        """Let a state become the one in a file that `find` found; nothing in the file is executed.

        Raises:
            TrainingError: The file is damaged, of another format, or of another configuration or data.
        """
        again = f"remove {path.parent} to start again"
        try:
            content = _read(path)
        except ValueError as error:
            msg = f"{path} {error}; {again}"
            raise TrainingError(msg) from error
        if content.get("format") != FORMAT:
            msg = f"{path}: not a checkpoint of this version; {again}"
            raise TrainingError(msg)
        if content.get("fingerprint") != self._fingerprint:
            msg = (
                f"{path}: belongs to a training with another configuration or other data; choose another run_dir, "
                f"or {again}"
            )
            raise TrainingError(msg)
        try:
            state.take_up(content)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            msg = f"{path}: does not fit the networks: {' '.join(str(error).split())}; {again}"
            raise TrainingError(msg) from error


def _read(path: Path) -> dict[str, Any]:
    """What a file holds, checked against the hash at its end.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is damaged; the message goes on after the file's name.
    """
    try:
        whole = memoryview(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        msg = f"cannot be read: {error.strerror or error}"
        raise ValueError(msg) from error
    body, trailer = whole[:-_TRAILER], bytes(whole[-_TRAILER:])
    if not trailer.startswith(_MARK):
        msg = "is empty" if not whole else "does not end in its SHA-256: cut short, or no checkpoint of this version"
        raise ValueError(msg)
    if hashlib.sha256(body).hexdigest().encode() != trailer[len(_MARK) :]:
        msg = "is damaged: its SHA-256 is not the one at its end"
        raise ValueError(msg)
    try:
        content = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except (EOFError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
        msg = f"is not a checkpoint: {' '.join(str(error).split())[:200]}"
        raise ValueError(msg) from error
    if not isinstance(content, dict) or "step" not in content:
        msg = "is not a checkpoint"
        raise ValueError(msg)
    return content
