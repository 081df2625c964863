"""What a run tells while it goes on: metrics, curves, progress. Of several ranks, the first one speaks."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from contract.progress import Progress
from training.distributed import ranks
from training.loop.metrics import MetricsLog

# A point this often, and more often in a run that is so short that its curves would have few.
_LOG_EVERY = 50
_FEWEST_POINTS = 100
# Drawing takes a second, as much as an epoch of few images.
_SECONDS_BETWEEN_DRAWINGS = 30.0


class RunLog:
    """Metrics of some steps and of each epoch, and the state of the run on stderr.

    Args:
        folder: of the run.
        step: where the run stands; what an earlier process logged after it is dropped.
        total_steps, steps_per_epoch: of the run.
        work_done: share of the steps to the share of the work, for an estimate of the remaining time.
    """

    def __init__(
        self,
        folder: Path,
        step: int,
        total_steps: int,
        steps_per_epoch: int,
        work_done: Callable[[float], float],
    ) -> None:
        self._work_done = work_done
        self._total_steps = total_steps
        self._steps_per_epoch = steps_per_epoch
        self._every = max(1, min(_LOG_EVERY, total_steps // _FEWEST_POINTS))
        self._log = MetricsLog(folder, step) if ranks.first() else None
        self._progress = Progress("training")
        self._open = ExitStack()
        self._drawn_at = time.monotonic()

    def __enter__(self) -> "RunLog":
        if self._log is not None:
            self._open.enter_context(self._log)
            self._open.enter_context(self._progress)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def stepped(self, step: int, values: dict[str, float]) -> None:
        """Log a step with its loss and terms."""
        if self._log is None:
            return
        if step % self._every == 0 or step == self._total_steps:
            self._log.write(step, {"epoch": step / self._steps_per_epoch, **values})
        epoch = (step - 1) // self._steps_per_epoch + 1
        share = self._work_done(step / self._total_steps)
        self._progress.update(step, self._total_steps, f"epoch {epoch}, loss {values['loss']:.3f}", share)

    def measured(self, step: int, values: dict[str, float]) -> None:
        """Log the monitor's figures at the end of an epoch, and draw the curves now and then."""
        if self._log is not None:
            self._log.write(step, values)
            now = time.monotonic()
            if step == self._total_steps or now - self._drawn_at >= _SECONDS_BETWEEN_DRAWINGS:
                self._log.draw()
                self._drawn_at = now
