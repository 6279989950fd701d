"""Tests against a real MLflow server with a SQL database and proxied artifacts, which dies, hangs and comes back."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.request import urlopen

import pytest

from calogan.config import Config
from calogan.progress import SilentReporter
from calogan.registry import open_record, register_bundle
from calogan.remote import fetch_bundle
from calogan.serving import save_model
from calogan.stages import run as stage
from calogan.stages.runs import find_runs, list_runs, sync_runs
from calogan.tracking import make_tracker, sender, tracked
from calogan.tracking.history import append_line, read_lines

mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.multiprocess

TRAINING = {
    "batch_size": 16,
    "warmup_steps": 12,
    "steps": 18,
    "critic_steps": 1,
    "critic_head_start": 1,
    "log_every": 1,
    "evaluate_every": 6,
    "evaluate_showers": 20,
    "checkpoint_every": 3,
    "device": "cpu",
}
MODEL = {"latent_size": 3, "generator_hidden": [8], "critic_hidden": [8]}


class Server:
    """``mlflow server`` on a port of its own."""

    def __init__(self, folder):
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}", "--workers", "1"),
            *("--serve-artifacts", "--artifacts-destination", str(self.folder / "artifacts")),
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, start_new_session=True)
        deadline = time.monotonic() + 240
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.2)

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()

    def client(self):
        return mlflow.MlflowClient(self.uri)

    def _answers(self):
        try:
            with urlopen(f"{self.uri}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False


class Lines(SilentReporter):
    """A reporter that keeps what it is told and calls something at each step."""

    def __init__(self, at_step=lambda step: None):
        self.messages, self.warnings, self._at_step, self._steps = [], [], at_step, 0

    def message(self, text):
        self.messages.append(text)

    def warning(self, text):
        if "ONNX" not in text:
            self.warnings.append(text)

    @contextmanager
    def task(self, description, total, unit, completed=0):
        yield self

    def advance(self, count=1, note=""):
        self._steps += count
        self._at_step(self._steps)


@pytest.fixture(scope="module")
def server(tmp_path_factory, empty_mlflow):
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_mlflow, folder / "mlflow.db")
    server = Server(folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(sender, "INTERVAL", 0.1)
    monkeypatch.setattr(sender, "FIRST_WAIT", 0.1)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def study(tmp_path, ecal30_config, ecal30_store, monkeypatch):
    """A study of thirty short steps, whose showers are prepared and whose bundle has no graph."""
    monkeypatch.setattr("calogan.stages.train.can_export", lambda: False)

    def make(uri, **sections):
        values = ecal30_config.model_dump(mode="json") | {"run_dir": str(tmp_path / "run")}
        values |= {"training": TRAINING, "model": MODEL, "tracking": {"uri": uri}, **sections}
        shutil.copytree(ecal30_config.run_dir / "prepared", tmp_path / "run" / "prepared")
        return Config.model_validate(values)

    return make


def kept(config):
    return json.loads((config.run_dir / "mlflow.json").read_text())


def held(server, config):
    """What the server has of the training: (metric, step) -> its values, moments and how often it is there."""
    client, found = server.client(), {}
    run_id = kept(config)["run_id"]
    for key in client.get_run(run_id).data.metrics:
        if not key.startswith("system/"):
            for point in client.get_metric_history(run_id, key):
                found.setdefault((key, point.step), []).append((point.value, point.timestamp))
    return found


def written(config):
    lines = read_lines(config.run_dir / "train" / "metrics.jsonl")
    return {(key, line.step): [(value, line.time)] for line in lines for key, value in line.figures.items()}


def paths(server, config, folder=None):
    client, run_id = server.client(), kept(config)["run_id"]
    for item in client.list_artifacts(run_id, folder):
        yield from paths(server, config, item.path) if item.is_dir else [item.path]


def assert_whole(server, config, status="FINISHED"):
    assert held(server, config) == written(config)
    run = server.client().get_run(kept(config)["run_id"])
    attempts = json.loads((config.run_dir / "tracking" / "record.json").read_text())["attempts"]
    assert run.info.status == status
    assert (run.info.start_time, run.info.end_time) == (attempts[0]["start"], attempts[-1]["end"])
    assert run.data.params["training.batch_size"] == "16"
    assert run.data.tags["calogan.config_digest"] == config.digest()
    assert len(run.inputs.dataset_inputs) == 1
    files = set(paths(server, config))
    assert {"config.yaml", "manifest.json", "metrics.jsonl", "tracking/requirements.txt"} <= files
    assert ("bundle/bundle.json" in files) == (status == "FINISHED")


def train(config, reporter):
    """Train and copy the bundle, as `calogan run` does."""
    with stage.run_folder(config, reporter), tracked(config, reporter) as tracker:
        tracker.log_artifact(stage.train_held(config, reporter, tracker))


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_misses_nothing(server, study):
    config, counts = study(server.uri), {}

    def at_step(step):
        if step == 11:
            while len(held(server, config) if (config.run_dir / "mlflow.json").exists() else ()) < 9 * 5:
                time.sleep(0.1)
            counts["before"] = sum(map(len, held(server, config).values()))
            server.kill()
        if step == 20:
            while not reporter.warnings:
                time.sleep(0.1)
            counts["written during"] = len(written(config))
            server.start()

    reporter = Lines(at_step)
    train(config, reporter)
    (warning,) = reporter.warnings
    assert "going on without it" in warning
    assert [line for line in reporter.messages if "is back" in line] != []
    assert_whole(server, config)
    total = len(written(config))
    counts |= {"after": sum(map(len, held(server, config).values())), "in metrics.jsonl": total}
    assert 0 < counts["before"] < counts["written during"] < counts["after"] == total
    print("values:", counts, "more than once:", sum(len(one) > 1 for one in held(server, config).values()))
    (synced,) = sync_runs([config.run_dir], SilentReporter())
    assert synced.text.startswith("nothing to do")


def test_a_run_that_never_reached_a_server_is_sent_later_and_once(server, study, monkeypatch):
    config, reporter = study("http://127.0.0.1:9"), Lines()
    train(config, reporter)
    (warning,) = reporter.warnings
    assert "going on without it" in warning
    assert not (config.run_dir / "mlflow.json").exists()
    assert list_runs([config.run_dir]).rows[0][-1] == "not sent"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    (first,), (second,) = (list(sync_runs([config.run_dir], SilentReporter())) for _ in range(2))
    assert f"{sum(len(one) for one in written(config).values())} metrics" in first.text
    assert second.text == f"nothing to do, run {kept(config)['run_id']}"
    assert_whole(server, config)
    runs = list_runs([config.run_dir])
    assert runs.rows[0][2:5] == ("trained", "finished", "30/30")
    assert runs.rows[0][-1] == "complete"
    assert runs.incomplete == ()


def test_a_server_that_hangs_at_the_end_gets_nothing_twice(server, study, monkeypatch):
    """What it was sent while it hung, it carries out when it goes on: after the client has given up."""
    monkeypatch.setattr(sender, "PATIENCE", 1.0)
    config = study(server.uri)
    reporter = Lines(lambda step: server.signal(signal.SIGSTOP) if step == 29 else None)
    train(config, reporter)
    server.signal(signal.SIGCONT)
    assert any("calogan runs sync" in line for line in reporter.warnings + reporter.messages)
    (synced,) = sync_runs([config.run_dir], SilentReporter())
    assert not synced.failed
    assert_whole(server, config)
    assert max(Counter(key for key, _ in written(config)).values()) == 30


def test_a_killed_process_is_closed_and_goes_on_in_the_same_run(server, study):
    """The lines after the last checkpoint are written again, and are in the record once."""
    config = study(server.uri)

    class KilledError(Exception):
        pass

    def at_step(step):
        if step == 8:
            raise KilledError

    tracker = make_tracker(config, Lines())
    with pytest.raises(KilledError):
        stage.train_held(config, Lines(at_step), tracker)
    tracker._sender.close()  # a kill leaves the record as it is
    assert max(step for _, step in held(server, config)) == 6
    train(config, Lines())
    assert_whole(server, config)
    assert server.client().get_run(kept(config)["run_id"]).data.tags["calogan.attempts"] == "2"


def test_sync_closes_what_a_kill_has_left_and_sends_all_of_its_lines(server, study, monkeypatch):
    config = study(server.uri, tracking={"enabled": False, "uri": server.uri})
    make_tracker(config, Lines())
    for step in range(3):
        append_line(config.run_dir / "train" / "metrics.jsonl", step, {"loss": 0.1 * step, "score": math.nan})
    (config.run_dir / "config.yaml").write_text(config.to_yaml())
    assert list_runs(find_runs([config.run_dir.parent])).rows[0][3:5] == ("running", "2/30")
    (first,), (second,) = (list(sync_runs([config.run_dir], SilentReporter())) for _ in range(2))
    assert (first.failed, second.text.partition(",")[0]) == (False, "nothing to do")
    found = held(server, config)
    assert found.keys() == written(config).keys()
    assert [found["loss", step] for step in range(3)] == [written(config)["loss", step] for step in range(3)]
    assert all(math.isnan(value) for step in range(3) for value, _ in found["score", step])
    run = server.client().get_run(kept(config)["run_id"])
    assert run.info.status == "KILLED"
    assert run.info.start_time <= run.info.end_time


def test_a_bundle_is_registered_and_fetched_through_the_server(server, study, tiny_bundle, tmp_path, monkeypatch):
    config = study(server.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("CALOGAN_CACHE", str(tmp_path / "cache"))
    with tracked(config, Lines()) as tracker:
        tracker.log_artifact(tiny_bundle.path)
    record, bundle = open_record(config), tiny_bundle.info.id
    register_bundle(record, lambda place: save_model(tiny_bundle, place), bundle, "0123abcd", "calogan-tiny", {})
    for source in ("models:/calogan-tiny@champion", f"runs:/{record.run_id}"):
        assert fetch_bundle(source).info.id == bundle


def test_a_folder_in_use_is_left_alone(study):
    config = study("http://127.0.0.1:9")
    with stage.run_folder(config, SilentReporter()):
        (synced,) = sync_runs([config.run_dir], SilentReporter())
    assert synced.failed
    assert "works in this run folder" in synced.text


@contextmanager
def refusing(code, text):
    """A server that refuses all requests: its place, and the passwords that it is sent."""
    seen = []

    class Closed(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers["Authorization"])
            self.send_error(code, explain=text)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Closed) as door:
        Thread(target=door.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{door.server_port}", seen
        door.shutdown()


def test_a_server_that_does_not_know_its_name_is_told_how_to_learn_it(study):
    lines = Lines()
    with refusing(403, "Invalid Host header - possible DNS rebinding attack detected") as (place, _):
        config = study(f"http://{place}")
        make_tracker(config, lines).finish("FINISHED")
        (synced,) = sync_runs([config.run_dir], SilentReporter())
    for text in (*lines.warnings, synced.text):
        assert "mlflow server --allowed-hosts HOST:PORT" in text
    assert "run it again" not in synced.text


def test_secrets_are_sent_to_the_server_and_kept_nowhere(tmp_path, study, monkeypatch):
    lines = Lines()
    with refusing(401, "who is there?") as (place, seen):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:s3cret@{place}")
        config = study("sqlite:///unused.db")
        make_tracker(config, lines).finish("FINISHED")
        (synced,) = sync_runs([config.run_dir], SilentReporter())
    assert seen[0] == f"Basic {b64encode(b'me:s3cret').decode()}"
    (warning,) = lines.warnings
    assert f"MLflow at http://{place} failed" in warning
    assert f"MLflow at http://{place} failed" in synced.text
    told = [*lines.warnings, *lines.messages, synced.text]
    files = [path.read_text(errors="replace") for path in config.run_dir.rglob("*") if path.is_file()]
    assert not [text for text in (*told, *files) if "s3cret" in text]
