"""Commands on run folders: which there are, and what MLflow lacks of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calogan.cli.application import FAILED, Quiet, app

__all__ = ["list_", "sync"]

runs = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(runs, name="runs", help="List run folders, and complete their record in MLflow.")

Folders = Annotated[
    list[Path] | None, typer.Argument(metavar="[FOLDER]...", help="Run folders, or folders of them; `runs` by default.")
]


@runs.command()
def sync(folders: Folders = None, quiet: Quiet = False) -> None:
    """Send to MLflow what it lacks of runs: after an outage, or where the job reached no server.

    Params, metrics with the times at which they were written, tags, data, files, status: each thing once; run again,
    it sends nothing. The store is `MLFLOW_TRACKING_URI` where that is set, else that of the configuration. Passwords
    come from `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`.

    Exit code: 0 MLflow has all of them, 1 something is still missing, 2 an error.

    Example: `calogan runs sync runs/demo`

    Example: `MLFLOW_TRACKING_URI=https://mlflow.example.org calogan runs sync runs`
    """
    from calogan.progress import make_reporter
    from calogan.stages.runs import find_runs, sync_runs

    failed = False
    for synced in sync_runs(find_runs(folders or [Path("runs")]), make_reporter(quiet=quiet)):
        print(synced)
        failed |= synced.failed
    if failed:
        raise typer.Exit(FAILED)


@runs.command(name="list")
def list_(folders: Folders = None) -> None:
    """List runs: stage, step, score, MLflow run, and whether MLflow has all of it; no server is asked.

    Example: `calogan runs list runs`
    """
    from calogan.stages.runs import find_runs, list_runs
    from calogan.terminal import print_table

    found = list_runs(find_runs(folders or [Path("runs")]))
    print_table(found.header, found.rows, found.left, whole=found.whole)
    if found.incomplete:
        print(f"calogan runs sync {' '.join(map(str, found.incomplete))}")
