"""A job: one training and its cells, from whatever of it is stored to all of its results."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor

from nrbench.base.component import canonical
from nrbench.base.errors import StoreError
from nrbench.base.log import Event, RunLog, Watcher, unwatched
from nrbench.families.dataset import hold_out, load_splits, shuffled
from nrbench.families.displacement import NONE
from nrbench.families.executor import Failure
from nrbench.families.noise import NoiseModel
from nrbench.families.selection import Scoring
from nrbench.jobs.batches import Normalisation
from nrbench.jobs.device import computing, environment
from nrbench.jobs.evaluate import scored
from nrbench.jobs.lock import held
from nrbench.jobs.network import CALIBRATION_IMAGES, Judge, norm
from nrbench.jobs.output import captured
from nrbench.jobs.processes import PLACE
from nrbench.jobs.results import CellFailure, CellResult, Score
from nrbench.jobs.store import CheckpointRecord, EpochRecord, Store, TrainingRecord
from nrbench.jobs.train import Checkpoint, Trained, initial_model, train
from nrbench.suite.cell import BatchNorm, Cell, Training


@dataclass(frozen=True)
class Job:
    """One training and those of its cells that have no result."""

    training: Training
    cells: tuple[Cell, ...]


Results = dict[str, CellResult | CellFailure]


@dataclass(frozen=True)
class Setting:
    """Where jobs read and write, and on what they compute; the same for all jobs of a run."""

    store: Path
    data: Path
    device: str = "cpu"
    fresh: bool = False
    """Whether stored trainings are ignored and made again."""
    log: Path | None = None
    """The run log, which every process adds to."""
    watch: Watcher = field(default=unwatched, compare=False)
    """Told what happens as long as the job runs in the process that made this setting; it does not travel."""

    def __reduce__(self) -> tuple[type[Setting], tuple[Path, Path, str, bool, Path | None]]:
        return Setting, (self.store, self.data, self.device, self.fresh, self.log)

    def own_device(self) -> torch.device:
        """Return the device of this job. A worker sees one of several GPUs, the one that belongs to its place."""
        device = torch.device(self.device)
        if device.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic with it alone
        if device.type != "cuda" or device.index is not None:
            return device
        if (place := os.environ.get(PLACE)) is not None:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
            names = visible.split(",")
            os.environ["CUDA_VISIBLE_DEVICES"] = names[int(place) % len(names)]  # read when CUDA is first used
        return torch.device("cuda", 0)

    def printed(self, job: Job) -> Path | None:
        """Return the file that keeps what a job prints, where there is a run log to keep it beside."""
        return None if self.log is None else self.log.parent / "logs" / f"{job.training.key}.log"

    def tell(self, event: Event) -> None:
        """Put an event into the log and tell whoever watches."""
        if self.log is not None:
            RunLog(self.log).add(event)
        self.watch(event)


def run_job(job: Job, setting: Setting) -> Results:
    """Train what is not trained, judge every cell, store a result for each and return them by key.

    What one cell's noise model or selection raises is that cell's failure; what the training raises is raised. A training
    that another process is at is waited for; what it leaves is taken as it is.
    """
    device, store = setting.own_device(), Store(setting.store)
    place, printed = store.training(job.training.key).root, setting.printed(job)
    with captured(printed), held(place, wait=True), computing(job.training.recipe, device):
        left = tuple(cell for cell in job.cells if not isinstance(store.result(cell.key), CellResult))
        if left:
            setting.tell(Event(training=job.training.key, kind="started"))
            _Work(Job(job.training, left), setting, device).run()
    return {cell.key: result for cell in job.cells if (result := store.result(cell.key)) is not None}


class _Work:
    """The data, the model and the record of one job while it runs."""

    def __init__(self, job: Job, setting: Setting, device: torch.device) -> None:
        self.job, self.training, self.setting, self.device = job, job.training, setting, device
        recipe, dataset = self.training.recipe, self.training.dataset
        self.data = load_splits(dataset, setting.data)
        train_images, validation = hold_out(self.data.train, recipe.held_out, dataset.fingerprint)
        self.images = train_images.to(device)
        self.judged_on = {
            "validation": shuffled(validation, dataset.fingerprint).to(device),
            "test": shuffled(self.data.test, dataset.fingerprint).to(device),
        }
        self.calibration = shuffled(train_images, dataset.fingerprint)[:CALIBRATION_IMAGES].to(device)
        self.normalise = Normalisation.of(self.data, recipe, device)
        self.stored = Store(setting.store).training(self.training.key)
        self.record = TrainingRecord() if setting.fresh else self.stored.record()
        self.failures: dict[Cell, Failure] = {}
        model = initial_model(self.training, self.data.num_classes, self.images.images.shape, device)
        self.judge = Judge(model, self.training, self.normalise, device)

    def run(self) -> None:
        if not self._fill_in_scores():
            self.record = TrainingRecord()
        self._train()
        weights = self._chosen_weights()
        if weights is None:  # damaged, or a rule went back to an epoch that nobody had kept
            self.record = TrainingRecord()
            self._train(keep_all=True)
            weights = self._chosen_weights()
        if weights is None:
            raise StoreError(f"the weights in {self.stored.root} do not last")
        self._judge_cells(weights)
        for cell, failure in self.failures.items():
            self._put(cell, CellFailure(status=failure.kind, message=failure.message, traceback=failure.traceback))

    # -- training -----------------------------------------------------------------------------------------------------

    def _train(self, *, keep_all: bool = False) -> None:
        record = self.record
        if record.diverged or (len(record.epochs) == self.training.epochs and record.kept):
            return
        checkpoint = self._checkpoint()
        start = checkpoint.epoch if checkpoint else 0
        self.record = record.replace(
            epochs=record.epochs[:start],
            kept={epoch: sha for epoch, sha in record.kept.items() if epoch <= start},
            checkpoints=tuple(each for each in record.checkpoints if each.epoch <= start),
        )
        clock = time.perf_counter()
        for trained in train(
            self.training,
            self.images,
            self.normalise,
            num_classes=self.data.num_classes,
            device=self.device,
            checkpoint=checkpoint,
        ):
            self._remember(trained, time.perf_counter() - clock, keep_all=keep_all)
            if self.record.diverged or not self._without_failed():
                return
            clock = time.perf_counter()

    def _checkpoint(self) -> Checkpoint | None:
        for record in reversed(self.record.checkpoints):
            tensors = self.stored.checkpoint(record) if record.epoch <= len(self.record.epochs) else None
            weights = self.stored.weights(self.record, record.epoch)
            if tensors is not None and weights is not None:
                return Checkpoint(record.epoch, weights, tensors, record.scalars)
        return None

    def _remember(self, trained: Trained, seconds: float, *, keep_all: bool) -> None:
        loss = trained.loss if isfinite(trained.loss) else None
        self.setting.tell(Event(training=self.training.key, kind="epoch", epoch=trained.epoch, loss=loss))
        if loss is None:
            self._write(self.record.replace(diverged=True, checkpoints=()))
            return
        weights = trained.weights()
        epochs = self.record.epochs
        if trained.epoch:
            scores = self._scores(weights, list(self._scorings().values()))
            epochs += (
                EpochRecord(loss=trained.loss, passes_per_step=trained.passes_per_step, seconds=seconds, scores=scores),
            )
        here = dict.fromkeys([*self.record.environments, environment(self.device)])
        self.record = self.record.replace(epochs=epochs, environments=tuple(here))
        kept = self.record.kept | {trained.epoch: self.stored.save_weights(trained.epoch, weights)}
        checkpoints = self._checkpoints(trained, weights)
        size = sum(tensor.nbytes for tensor in weights.values())
        if not keep_all and self.training.epochs * size > self.training.recipe.keep_epochs:
            wanted = {trained.epoch, *self._choices().values(), *(each.epoch for each in checkpoints)}
            kept = {epoch: sha for epoch, sha in kept.items() if epoch in wanted}
        self._write(self.record.replace(kept=kept, checkpoints=checkpoints))

    def _checkpoints(self, trained: Trained, weights: dict[str, Tensor]) -> tuple[CheckpointRecord, ...]:
        """Return the last two checkpoints, one made now if it is time; a training that is through needs none."""
        if trained.epoch >= self.training.epochs:
            return ()
        if trained.epoch % self.training.recipe.checkpoint_every:
            return self.record.checkpoints
        state = trained.checkpoint(weights)
        sha256 = self.stored.save_checkpoint(state.epoch, state.tensors)
        latest = CheckpointRecord(epoch=state.epoch, scalars=state.scalars, sha256=sha256)
        return (*self.record.checkpoints, latest)[-2:]

    def _write(self, record: TrainingRecord) -> None:
        self.record = record
        training = self.training
        parts = (training.dataset, training.backbone, training.method, training.recipe)
        self.stored.write(record, spec={"seed": training.seed, "parts": [canonical(part) for part in parts]})

    # -- choosing an epoch --------------------------------------------------------------------------------------------

    def _scorings(self) -> dict[str, Scoring]:
        wanted = [scoring for cell in self._without_failed() if (scoring := self._scoring(cell)) is not None]
        return {scoring.fingerprint: scoring for scoring in wanted}

    def _scoring(self, cell: Cell) -> Scoring | None:
        try:
            return cell.selection.scoring(cell.noise)
        except Exception as error:
            self._fail(cell, error)
            return None

    def _scores(self, weights: dict[str, Tensor], scorings: list[Scoring]) -> dict[str, int]:
        self.judge.load(weights)
        results = scored(self.judge, scorings, self.judged_on)
        for cell in self._without_failed():
            scoring = self._scoring(cell)
            if scoring is not None and isinstance(error := results.get(scoring.fingerprint), Exception):
                self._fail(cell, error)
        return {key: count for key, count in results.items() if isinstance(count, int)}

    def _fill_in_scores(self) -> bool:
        """Score stored epochs for cells asked for later; False when weights that this needs are not stored."""
        epochs = list(self.record.epochs)
        for index, epoch in enumerate(epochs):
            missing = [scoring for key, scoring in self._scorings().items() if key not in epoch.scores]
            if not missing:
                continue
            weights = self.stored.weights(self.record, index + 1)
            if weights is None:
                return False
            epochs[index] = epoch.replace(scores=epoch.scores | self._scores(weights, missing))
        if tuple(epochs) != self.record.epochs:
            self._write(self.record.replace(epochs=tuple(epochs)))
        return True

    def _choices(self) -> dict[Cell, int]:
        """Return the epoch chosen for each cell so far; a rule that raises or chooses what is not there fails its cell."""
        records, chosen = self.record.epochs, {}
        for cell in self._without_failed():
            scoring = self._scoring(cell)
            try:
                scores = [epoch.scores[scoring.fingerprint] if scoring else None for epoch in records]
                chosen[cell] = cell.selection.choose(scores) if records else 0
                if not min(1, len(records)) <= chosen[cell] <= len(records):
                    raise ValueError(f"{cell.selection.name} chose epoch {chosen[cell]} of {len(records)}")
            except Exception as error:
                chosen.pop(cell, None)
                self._fail(cell, error)
        return chosen

    def _chosen_weights(self) -> dict[int, dict[str, Tensor]] | None:
        """Return the weights of every chosen epoch, None when some are not stored whole."""
        if self.record.diverged:
            return {}
        found = {}
        for epoch in set(self._choices().values()):
            weights = self.stored.weights(self.record, epoch)
            if weights is None:
                return None
            found[epoch] = weights
        return found

    # -- judging ------------------------------------------------------------------------------------------------------

    def _judge_cells(self, weights: dict[int, dict[str, Tensor]]) -> None:
        if self.record.diverged:
            for cell in self._without_failed():
                self._put(cell, self._result(cell, epoch=0, correct=(0,) * cell.draws, clean=0))
            return
        choices = self._choices()
        for epoch, tensors in sorted(weights.items()):
            self.judge.load(tensors)
            self._judge_epoch(epoch, [cell for cell, chosen in choices.items() if chosen == epoch])

    def _judge_epoch(self, epoch: int, cells: list[Cell]) -> None:
        """Judge cells on the weights in the judge's model: one draw at a time, so that all strengths share it."""
        judge, test = self.judge, self.judged_on["test"]
        weight_norm = norm(judge.weights().values())
        calibrations = {"frozen": None, "recalibrated": self.calibration}
        clean = {
            mode: judge.count(NONE, test, calibration=calibrations[mode])
            for mode in dict.fromkeys(cell.batch_norm for cell in cells)
        }
        alike: dict[tuple[NoiseModel, BatchNorm], list[Cell]] = {}  # rules that chose the same epoch share its draws
        for cell in cells:
            alike.setdefault((cell.noise, cell.batch_norm), []).append(cell)
        counts: dict[Cell, list[int]] = {cell: [] for cell in cells}
        norms: dict[Cell, list[float]] = {cell: [] for cell in cells}
        for draw, chance in enumerate(judge.chips("report", max(cell.draws for cell in cells))):
            for (noise, mode), members in alike.items():
                left = [cell for cell in members if draw < cell.draws and cell not in self.failures]
                if not left:
                    continue
                try:
                    right, length = judge.count_noisy(noise, chance, test, calibration=calibrations[mode])
                except Exception as error:
                    for cell in left:
                        self._fail(cell, error)
                    continue
                for cell in left:
                    counts[cell].append(clean[mode] if right is None else right)
                    norms[cell].append(length)
        for cell in cells:
            if cell not in self.failures:
                result = self._result(cell, epoch=epoch, correct=tuple(counts[cell]), clean=clean[cell.batch_norm])
                self._put(cell, result.replace(displacement_norm=_mean(norms[cell]), weight_norm=_mean([weight_norm])))

    def _result(self, cell: Cell, *, epoch: int, correct: tuple[int, ...], clean: int) -> CellResult:
        epochs = self.record.epochs
        return CellResult(
            status="diverged" if self.record.diverged else "ok",
            correct=correct,
            images=len(self.data.test),
            epoch=epoch,
            clean_correct=clean,
            training=self.training.key,
            chosen_with=self._score(cell, epoch),
            displacement_norm=None,
            weight_norm=None,
            epochs=len(epochs),
            loss=epochs[-1].loss if epochs and not self.record.diverged else None,
            passes_per_step=_mean([record.passes_per_step for record in epochs]) or 0.0,
            environments=tuple(dict.fromkeys([*self.record.environments, environment(self.device)])),
        )

    def _score(self, cell: Cell, epoch: int) -> Score | None:
        scoring = self._scoring(cell)
        if scoring is None or not 0 < epoch <= len(self.record.epochs):
            return None
        correct = self.record.epochs[epoch - 1].scores[scoring.fingerprint]
        return Score(correct=correct, images=len(self.judged_on[scoring.on]))

    def _without_failed(self) -> list[Cell]:
        return [cell for cell in self.job.cells if cell not in self.failures]

    def _fail(self, cell: Cell, error: Exception) -> None:
        self.failures[cell] = Failure.of(error)
        self.setting.tell(Event(training=self.training.key, kind="failed", message=self.failures[cell].message))

    def _put(self, cell: Cell, result: CellResult | CellFailure) -> None:
        Store(self.setting.store).put(cell.key, result)


def _mean(values: list[float]) -> float | None:
    mean = sum(values) / len(values) if values else None
    return mean if mean is not None and isfinite(mean) else None
