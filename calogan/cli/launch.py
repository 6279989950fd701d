"""The command that starts a training on several processes."""

from __future__ import annotations

import sys

import typer
from typer.main import get_command

from calogan.cli.application import app

__all__ = ["launch"]


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
)
def launch(context: typer.Context) -> None:
    """Start `calogan train` on several GPUs or nodes.

    `calogan launch [OPTIONS OF TORCHRUN] -- train CONFIG [OPTIONS OF TRAIN]`

    torchrun's options are all there: `--nproc-per-node N` (or `gpu`, `auto`), `--nnodes`, `--rdzv-backend`,
    `--rdzv-endpoint`, `--rdzv-id`, `--max-restarts`, ... Without a rendezvous it is for this node alone. The
    batch is divided among the processes, so that any number of them makes the same training. On CPUs each process has
    one thread, unless `OMP_NUM_THREADS` or `training.threads` says otherwise.

    SIGTERM, SIGUSR1 and Ctrl-C are passed on: all processes stop at the same step, the state is saved, and the same
    command goes on, on as many processes as you like.

    Exit code: 0 done, 75 stopped with the state saved, 2 refused, 128 + n a process was killed by signal n, 1 else.

    Example, all GPUs of this machine: `calogan launch --nproc-per-node gpu -- train configs/ecal30.yaml`

    Example, two processes on CPUs: `calogan launch --nproc-per-node 2 -- train configs/demo.yaml --set
    training.device=cpu`

    Example, on each of two nodes: `calogan launch --nnodes 2 --nproc-per-node gpu --rdzv-backend c10d --rdzv-id 7
    --rdzv-endpoint node1:29500 -- train configs/ecal30.yaml`
    """
    from calogan.config import load_config
    from calogan.stages.launch import launch as start
    from calogan.stages.launch import parse_options
    from calogan.stages.train import require_model

    options, arguments = parse_options(context.args)
    train = get_command(app).commands["train"]  # type: ignore[attr-defined]
    chosen = train.make_context("calogan train", list(arguments)).params
    require_model(load_config(chosen["config"], chosen["set_"] or ()))  # refused once, and not by every process
    ending = start(options, arguments)
    if ending.text:
        print(ending.text, file=sys.stderr)
    raise typer.Exit(ending.code)
