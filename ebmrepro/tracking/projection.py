"""From the files of a run to its MLflow run: one idempotent pass, live, afterwards, or to rebuild.

Files are the truth. `sync` reads what a run has written so far and brings its MLflow run to the
same state, logging only what the store lacks. It asks the store what that is, not its own memory,
so it may be repeated, killed, or run by several processes at once.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ebmrepro.config import forms
from ebmrepro.config.params import Training, flatten
from ebmrepro.config.training import base
from ebmrepro.runs import layout, results
from ebmrepro.system import reading
from ebmrepro.system.reading import known
from ebmrepro.tracking import views
from ebmrepro.tracking.store import (
    Store,
    TrackingError,
    as_tracking_error,
    home,
    logged,
    set_aside_unusable,
)
from ebmrepro.tracking.verdicts import sync_claims

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

UNIT = "epoch"  # of MLflow's steps: what trainings of any batch size have in common
METRICS_A_CALL = 1000  # MLflow's limit for one log_batch
LONGEST_DIGEST = 36  # characters that MLflow keeps of a data set's
LONGEST_PARAM = 500  # characters; older servers refuse longer values
SMALLEST_GRID = 256  # pixels; MLflow smooths thumbnails of anything smaller


def sync_all(root: Path, trainings: Iterable[Training], *, anew: bool = False) -> list[Training]:
    """Project every run of `trainings` that has files; returns these. Changes nothing that is
    current, unless `anew`: then what the store holds of them goes to MLflow's trash first.

    Raises TrackingError when the store cannot be reached or a file is damaged.
    """
    runs = list(trainings)
    with as_tracking_error(root):
        store = Store(root)
        synced = [run for run in runs if sync(store, run, anew=anew)]
        for suite in sorted({run.suite for run in runs}):
            store.end_abandoned(suite)
            sync_claims(store, suite)
    return synced


def rebuild(root: Path) -> list[Training]:
    """Project every run on disk anew, also those that params.yaml no longer names.

    Our own database, where MLflow cannot use it, is set aside, and an empty one takes its place.
    """
    files = [*root.glob("models/*/*/*/run.json"), *root.glob("results/*/*/*/training.json")]
    keys = {path.parent.parts[-3:] for path in files}
    found = (each for each in keys if layout.SEED.fullmatch(each[2]))
    runs = sorted(Training(suite, name, int(seed)) for suite, name, seed in found)
    with as_tracking_error(root):
        set_aside_unusable(root)
    return sync_all(root, runs, anew=True)


def in_words(synced: Sequence[object], trainings: Sequence[object]) -> str:
    """How many of the runs of params.yaml are in MLflow."""
    rest = "" if len(synced) == len(trainings) else "; the others have no files yet"
    return f"MLflow holds {len(synced)} of {len(trainings)} runs{rest}"


# --- one run -------------------------------------------------------------------------------------


def sync(
    store: Store,
    run: Training,
    *,
    follower: str | None = None,
    ended: str | None = None,
    anew: bool = False,
) -> bool:
    """Bring the MLflow run of `run` up to its files; false if it has none yet.

    `follower` is `host:pid` of a process that watches the training, `ended` is how that training
    ended (finished, failed, killed) as far as its files do not say so themselves.
    """
    projection = _Projection(store, run)
    if not projection.fingerprint:
        return False
    if not projection.fingerprint.isalnum():
        raise TrackingError(f"{projection.models}: fingerprint {projection.fingerprint!r}")
    with store.lock(projection.fingerprint):
        projection.apply(follower, ended, anew)
    return True


class _Projection:
    """One pass from the files of a run to its MLflow run, which may be behind in any way."""

    def __init__(self, store: Store, run: Training) -> None:
        self.store, self.client, self.run = store, store.client, run
        self.models = store.root / layout.folder(*run)
        self.results = store.root / layout.results(*run)
        # A fresh clone holds no models: there, what the evaluation kept of the training is read.
        card = known(forms.Card.read, self.models / "run.json")
        self.kept = self.models if card else self.results
        self.card = self.kept / ("run.json" if card else "training.json")
        self.training = card or known(forms.Trained.read, self.card) or {}
        self.evaluation = known(forms.Metrics.read, self.results / "metrics.json") or {}
        self.fingerprint = str((self.training or self.evaluation).get("fingerprint", ""))
        if self.evaluation.get("fingerprint") != self.fingerprint:
            self.evaluation = {}  # of another training
        told = home(store.root) / ".ebmrepro" / "provenance" / f"{self.fingerprint}.json"
        self.provenance = known(forms.Provenance.read, told) or {}
        path = self.kept / "curves.csv"
        self.curves = (known(results.growing, path) if self.training else None) or []
        self.last = int(self.curves[-1]["epoch"]) if self.curves else 0

    def apply(self, follower: str | None, ended: str | None, anew: bool) -> None:
        complete = not self.training or "steps" in self.training
        live = follower is not None and ended is None and not complete
        watch = {"ebm.follower": follower} if follower and live else {}
        self.mlflow_run = self._open(watch, anew)
        self.run_id = self.mlflow_run.info.run_id
        self.logged = logged(self.mlflow_run)
        self._params()
        self._dataset()
        self._points()
        self._samples()
        self._evaluation()
        if not live:
            self._artifacts()
        if complete:
            self._model()
        self._tags(watch)
        # Last: FINISHED means that everything is there.
        status = "FINISHED" if complete else ended.upper() if ended else "RUNNING" if live else None
        if status in (None, self.mlflow_run.info.status):
            return  # without a status: someone else may be training it; `end_abandoned` tells
        if live:
            self.client.update_run(self.run_id, status=status)
        else:
            self.client.set_terminated(self.run_id, status, end_time=self._moment(1.0))

    def _open(self, watch: Mapping[str, str], anew: bool) -> MlflowRun:
        """The MLflow run, made where there is none; `watch` is the tag of a live one."""
        stored = self.store.find(self.run.suite, "ebm.fingerprint", self.fingerprint)
        if stored and (anew or _replaces(self.curves, logged(stored).get("curves"))):
            # Same parameters, other numbers: a training repeated where arithmetic is not
            # deterministic. MLflow cannot take points back, so the old run goes to its trash.
            self.client.delete_run(stored.info.run_id)
            for model in self.store.models(stored):
                self.client.delete_logged_model(model.model_id)
            stored = None
        return stored or self.client.create_run(
            self.store.experiment(self.run.suite),
            start_time=None if watch else self._started(),
            run_name=f"{self.run.name}-{self.run.seed}",
            tags={
                "ebm.fingerprint": self.fingerprint,
                "ebm.source": "live" if watch else "files",
                **watch,
            },
        )

    def _params(self) -> None:
        from mlflow.entities import Param

        stored, parameters = self.mlflow_run.data.params, self.training.get("parameters", {})
        block = {**self.training.get("params", {}), "parameters": parameters}
        new = [Param(k, v) for k, v in _printable(block).items() if k not in stored]
        self.client.log_batch(self.run_id, params=new)

    def _dataset(self) -> None:
        """The data set, known by its training images."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        told = known(forms.Dataset.read, self.store.root / "data" / self.run.suite / "dataset.json")
        place = self.results.parents[1] / "reference" / "reference.json"
        about = told or (known(forms.Reference.read, place) or {}).get("dataset")
        if not about or "train" not in about["splits"]:
            return
        digest = about["splits"]["train"]["sha256"][:LONGEST_DIGEST]
        inputs = self.mlflow_run.inputs
        if inputs and any(each.dataset.digest == digest for each in inputs.dataset_inputs):
            return
        counts = {split: each["count"] for split, each in about["splits"].items()}
        profile = json.dumps({"shape": about["shape"], **counts, "name": about["name"]})
        source = json.dumps({"uri": f"data/{self.run.suite}"})
        data = Dataset(self.run.suite, digest, "local", source, profile=profile)
        tags = [InputTag("mlflow.data.context", "train")]
        self.client.log_inputs(self.run_id, [DatasetInput(data, tags)])

    def _points(self) -> None:
        from mlflow.entities import Metric

        if not self.curves:
            return
        # `step` is in every row, and a row goes into the store whole: its history is the record
        # of what was logged, exact even after a kill between two calls.
        logged = {m.step for m in self.client.get_metric_history(self.run_id, "step")}
        rows = [row for row in self.curves if int(row[UNIT]) not in logged]
        size = METRICS_A_CALL // max(map(len, self.curves))
        for i in range(0, len(rows), size):
            points = [
                Metric(key, float(cell), self._moment(int(row[UNIT]) / self.last), int(row[UNIT]))
                for row in rows[i : i + size]
                for key, cell in row.items()
                if key != UNIT
            ]
            self.client.log_batch(self.run_id, metrics=points)
        self._note("curves", _digest(self.curves))

    def _started(self) -> int | None:
        """Milliseconds since 1970, where the provenance says so."""
        text = self.provenance.get("started")
        return round(datetime.fromisoformat(text).timestamp() * 1000) if text else None

    def _moment(self, part: float) -> int:
        """When this part of the training was over, milliseconds: now in a run that was followed,
        else by the training's own clock."""
        started, seconds = self._started(), self.provenance.get("seconds")
        followed = self.mlflow_run.data.tags.get("ebm.source") == "live"
        if followed or started is None or seconds is None:
            return round(time.time() * 1000)
        return started + round(part * round(seconds * 1000))

    def _samples(self) -> None:
        paths = sorted((self.models / "samples").glob("step_*.png")) if self.training else []
        logged = self._shown("samples") if paths else set()
        # Of several in one epoch, the last; one whose epoch has not ended waits for that.
        by_epoch = {self._epoch(int(path.stem.removeprefix("step_"))): path for path in paths}
        for epoch, path in by_epoch.items():
            if epoch is not None and epoch not in logged:
                self.client.log_image(self.run_id, _grid(path), key="samples", step=epoch)

    def _epoch(self, step: int) -> int | None:
        """That a step of the training lies in, as far as epochs have ended."""
        ended = ((int(row["step"]), int(row[UNIT])) for row in self.curves)
        return next((epoch for last, epoch in ended if step <= last), None)

    def _shown(self, key: str) -> set[int]:
        """Epochs of the images that the store has under `key`, asked of the store itself."""
        stored = (f.path for f in self.client.list_artifacts(self.run_id, "images"))
        # The thumbnail is what log_image writes last.
        names = (re.search(rf"{key}\+step\+(\d+)\+.*\+compressed\.webp$", p) for p in stored)
        return {int(match[1]) for match in names if match}

    def _evaluation(self) -> None:
        from mlflow.entities import Metric

        stored, now = self.mlflow_run.data.metrics, round(time.time() * 1000)
        values: dict[str, float | None] = {}
        if measured := self.evaluation.get("values"):
            # What was measured before and is not now would stay: MLflow takes no value back.
            values |= {k: math.nan for k in stored if k.startswith("eval/")}
            values |= {f"eval/{k}": math.nan if v is None else v for k, v in measured.items()}
        for key in ("seconds", "images_per_second"):  # which only the machine that trained knows
            values[f"time/{key}"] = self.provenance.get(key)
        new = [
            Metric(k, float(v), now, self.last)
            for k, v in values.items()
            if v is not None and not _same(v, stored.get(k, math.nan))
        ]
        self.client.log_batch(self.run_id, metrics=new)
        picture = self.results / "samples.png"
        if not self.evaluation or not picture.exists():
            return
        shown, at = self.logged.get("generated"), self.last
        if shown != _sha256(picture) or at not in self._shown("generated"):
            self.client.log_image(self.run_id, _grid(picture), key="generated", step=at)
            self._note("generated", _sha256(picture))

    def _artifacts(self) -> None:
        paths = [self.card, self.kept / "curves.csv"] if self.curves else []
        if self.evaluation:
            paths.append(self.results / "metrics.json")
        stored = {f.path for f in self.client.list_artifacts(self.run_id)} if paths else set()
        for path in paths:
            if self.logged.get(path.name) != _sha256(path) or path.name not in stored:
                self.client.log_artifact(self.run_id, str(path))
                self._note(path.name, _sha256(path))

    def _model(self) -> None:
        """A model of MLflow's that says where the weights are, which are not copied."""
        from mlflow.entities import LoggedModelOutput
        from mlflow.utils.mlflow_tags import MLFLOW_MODEL_IS_EXTERNAL

        told = known(reading.text, self.models / "model.sha256")
        if told is None:  # a fresh clone has no weights
            return
        digest = told.split()[0]
        if self.logged.get("model") == digest:
            return
        for model in self.store.models(self.mlflow_run):  # of other weights, or half made
            self.client.delete_logged_model(model.model_id)
        tags = {
            MLFLOW_MODEL_IS_EXTERNAL: "true",
            "weights": str(layout.folder(*self.run) / "model.safetensors"),
            "sha256": digest,
            "draw": "ebmrepro sample {} {} --seed {}".format(*self.run),
        }
        name, kind = f"{self.run.name}-{self.run.seed}", base(self.run.name)
        place = self.mlflow_run.info.experiment_id
        model = self.client.create_logged_model(place, name, self.run_id, tags, model_type=kind)
        self.client.finalize_logged_model(model.model_id, "READY")
        self.client.log_outputs(self.run_id, [LoggedModelOutput(model.model_id, self.last)])
        self._note("model", digest)

    def _note(self, what: str, digest: str) -> None:
        """Remember, in the store, which content was logged. A kill before this is harmless: the
        curves are known by their points, and a file is stored again under its own name."""
        self.logged[what] = digest
        self._tag({"ebm.logged": json.dumps(self.logged, sort_keys=True)})

    def _tags(self, watch: Mapping[str, str]) -> None:
        evaluation, provenance = self.evaluation, self.provenance
        prose = {
            **{f"ebm.reason.{k}": v for k, v in evaluation.get("reasons", {}).items()},
            **{f"ebm.flag.{k}": v for k, v in evaluation.get("flags", {}).items()},
            **_printable(evaluation.get("protocol", {}), "protocol."),
        }
        named = {
            "suite": self.run.suite,
            "method": self.run.name,  # whole, as in its files: what is grouped by is one system
            "seed": str(self.run.seed),
            "ebm.base": base(self.run.name),
            "mlflow.runColor": views.colour(self.run.name),
            "device": provenance.get("device"),
            "git.commit": provenance.get("commit"),
            "dvc.stage": provenance.get("stage"),
            "dvc.exp_name": provenance.get("experiment"),
            **{f"version.{k}": v for k, v in provenance.get("versions", {}).items()},
            **watch,
        }
        self._tag({k: str(v) for k, v in {**prose, **named}.items() if v is not None})
        if evaluation:  # a reason of an earlier evaluation must not outlive it
            for key in self.mlflow_run.data.tags:
                if key.startswith(("ebm.reason.", "ebm.flag.", "protocol.")) and key not in prose:
                    self.client.delete_tag(self.run_id, key)

    def _tag(self, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        stored = self.mlflow_run.data.tags
        new = [RunTag(k, v) for k, v in tags.items() if stored.get(k) != v]
        self.client.log_batch(self.run_id, tags=new)


def _digest(rows: Sequence[Mapping[str, str]]) -> str:
    """How many rows were logged, and which: `31:2c26b46b68ffc68f`. Columns may move or be added;
    what was logged in another unit is another."""
    text = json.dumps([UNIT, *rows], sort_keys=True)
    return f"{len(rows)}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _replaces(rows: Sequence[Mapping[str, str]], logged: str | None) -> bool:
    """Whether `rows` differ from the ones that were logged, as far as those went."""
    count = int(logged.partition(":")[0]) if logged else 0
    return 0 < count <= len(rows) and _digest(rows[:count]) != logged


def _printable(block: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted keys, as they are addressed in params.yaml, and values as text."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in flatten(block).items()}
    return {prefix + key: text[:LONGEST_PARAM] for key, text in texts.items()}


def _same(value: float, other: float) -> bool:
    return value == other or (math.isnan(value) and math.isnan(other))


def _sha256(path: Path) -> str:
    return hashlib.sha256(reading.content(path)).hexdigest()[:16]


def _grid(path: Path) -> Any:
    """The image at `path`, with whole pixels repeated until MLflow's thumbnail need not blur it."""
    from PIL import Image

    with reading.opened(path, "not an image") as file, Image.open(file) as image:
        pixels = image.convert("RGB")
    times = -(-SMALLEST_GRID // max(pixels.size))
    size = (pixels.width * times, pixels.height * times)
    return pixels.resize(size, Image.Resampling.NEAREST)
