"""The command line: parse, call one stage, print what came of it."""

from __future__ import annotations

from calogan.cli import files, geometry, inspection, launch, runs, study, surrogate
from calogan.cli.application import app, main

__all__ = ["app", "files", "geometry", "inspection", "launch", "main", "runs", "study", "surrogate"]
