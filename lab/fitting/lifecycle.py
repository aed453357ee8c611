"""What `fit` does, in the order in which it happens: origin, settings, decisions, run directory, training, end."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.utilities.memory import is_oom_error

from lab.callbacks.interrupts import Interrupts
from lab.callbacks.loggers import close_loggers, make_loggers
from lab.callbacks.minutes import draw_schedule
from lab.errors import NonFiniteLoss, SettingsError, WriteError
from lab.files import write_json, write_whole
from lab.fitting.decisions import Decisions, decide, refuse_behind
from lab.fitting.disk_space import room_notes
from lab.fitting.listener import Listener
from lab.fitting.origin import find_origin
from lab.fitting.trainer import make_trainer, out_of_memory
from lab.forecasting.finished import earlier_runs
from lab.forecasting.kept import kept_plan, plan_path
from lab.forecasting.law import Forecast
from lab.forecasting.predictions import any_mental_model, final_loss_of, lab_says
from lab.model import count_parameters
from lab.runs import Run, create_run
from lab.runs.configurations import flatten
from lab.runs.events import Resumed, Started
from lab.runs.predictions import Predictions, close, read_predictions, seal
from lab.runs.seams import told_changes, write_seams
from lab.runs.status import ACTIVE_STATES
from lab.settings.arguments import Arguments
from lab.settings.groups import PredictConfig
from lab.settings.parse import Settings
from lab.training.logbook import Logbook
from lab.training.machine import total_memory
from lab.training.one_process import left_over
from lab.training.stopping import StoppableTrainer


class Fit:
    """One fit. `check()` stops before anything is made; `train()` goes through to the end.

    Attributes:
        origin: Where it starts from.
        settings: Checked, and after `train` began built: `settings.data`, `settings.module`.
        decisions: Steps, levers, and what changed since the run was stored.
        run: The run directory.
        exit_code: 0 completed or stopped as asked, 1 not finite, 129, 130 or 143 interrupted.
    """

    decisions: Decisions
    run: Run

    def __init__(self, arguments: Arguments, listener: Listener | None = None) -> None:
        self.listener = listener or Listener()
        self.origin, self.arguments = find_origin(arguments)
        self.settings = Settings("fit", self.arguments)
        self.interrupts = Interrupts()
        self.forecast: Forecast | None = None
        self.error: NonFiniteLoss | None = None
        self.exit_code = 0

    @property
    def facts(self) -> dict[str, Any]:
        """What data.json holds."""
        return self.decisions.facts

    def check(self) -> None:
        """What `train` would refuse and can be known before the data is. Raises `ValueError`."""
        if (steps := self.settings.values.horizon.steps) is not None:
            refuse_behind(self.origin, steps)

    def train(self) -> Fit:
        """Everything. Raises `ValueError` for what is refused, `RuntimeError` for a fault of ours."""
        with self.interrupts:
            settings, origin = self.settings.build(), self.origin
            self.decisions = decide(settings, origin)
            for note in (left_over(), *room_notes(settings, self.decisions.steps, origin.step)):
                if note is not None:
                    self.listener.note(note)
            resumed = origin.run if origin.kind == "resume" else None
            self.run = resumed or create_run(settings.values.run.root, settings.values.run.name)
            logbook = self._open_logbook()
            try:
                self._write_beginnings()
                self._seal_predictions()
                self.listener.begins(self)
                self._train(logbook)
            except SystemExit:
                if logbook.status.state in ACTIVE_STATES:
                    saved = [info.step for info in self.run.checkpoints()]
                    step = max([self.run.status().step or origin.step, *saved])
                    logbook.end("stopped", step, f"interrupted at step {step}")
                raise
            except Exception as error:  # before the first step: a dashboard, a picture, a full disk
                if logbook.status.state in ACTIVE_STATES:
                    logbook.end("failed", origin.step, f"{type(error).__name__}: {error}")
                raise
            finally:
                logbook.close()
        return self

    def _open_logbook(self) -> Logbook:
        origin, decisions = self.origin, self.decisions
        parent = {"run": origin.run.name, "step": origin.step} if origin.kind == "fork" and origin.run else None
        return Logbook(
            self.run,
            decisions.seams,
            levers=decisions.levers.as_dict(),
            details={
                "horizon": decisions.horizon,
                "parameters": count_parameters(self.settings.module.config)["total"],
                "tokens_per_step": decisions.seams.last.tokens_per_step,
                "memory_bytes": total_memory(decisions.levers.device),
                "defaults": self.settings.chosen(),
            },
            **({"parent": parent} if parent else {}),
        )

    def _write_beginnings(self) -> None:
        """What is known before the first step: seams, configuration, data, vocabulary, the schedule as a picture."""
        write_seams(self.run, self.decisions.seams)
        write_whole(self.run.config_path, self.settings.text)
        write_json(self.run.data_path, self.facts)
        write_whole(self.run.tokenizer_path, self.settings.data.tokenizer.to_json())
        try:
            draw_schedule(
                self.settings.module, self.decisions.steps, self.settings.data, self.run.path / "schedule.png"
            )
        except OSError as error:
            self.listener.note(f"schedule.png was not drawn: {error}")

    def _seal_predictions(self) -> None:
        """Seal what the lab and the user predict of a new run; a run that goes on keeps what was sealed."""
        seam = self.decisions.seams.last
        if self.origin.kind == "resume" and seam.step == self.origin.step and seam.decisive:
            close(self.run, seam.step, f"the run was changed, {told_changes(seam.decisive)}")
        asked, sealed = self.settings.group("predict"), read_predictions(self.run)
        if sealed is None:
            sealed = self._predict(asked)
        elif asked.says_anything:
            name = self.run.name
            raise ValueError(f"predict: run {name!r} has begun, and its predictions are sealed; leave predict out")
        self.forecast = final_loss_of(sealed)

    def _predict(self, asked: PredictConfig) -> Predictions | None:
        """What is now sealed; None where neither the lab nor the user predicts anything."""
        settings, root = self.settings, self.settings.values.run.root
        if asked.ask:
            self.listener.ask(asked, first=not any_mental_model(root))
        kept = kept_plan(plan_path(settings.tree, settings.values.data.cache_dir))
        earlier = earlier_runs(root, self.facts, flatten(settings.tree)).runs
        tokens = self.decisions.seams.tokens_at(self.decisions.steps)
        lab = lab_says(kept, earlier, settings.module.config, tokens, self.facts["baselines"])
        said = asked.predictions() + lab
        return seal(self.run, said, asked.mental_model) if said or asked.mental_model else None

    def _train(self, logbook: Logbook) -> None:
        """The training itself, and how it ended."""
        settings, origin, decisions = self.settings, self.origin, self.decisions
        loggers, notes = make_loggers(
            self.run,
            tensorboard=settings.values.tensorboard,
            wandb=settings.values.wandb,
            start_step=origin.step,
            configuration=flatten(settings.tree),
        )
        for note in notes:
            self.listener.note(note)
        trainer = make_trainer(
            settings,
            decisions,
            origin,
            logbook,
            loggers,
            self.interrupts,
            self.forecast,
            bar=self.listener.progress_bar,
        )
        changed = {k: {"from": a, "to": b} for k, (a, b) in decisions.changed.items()}
        logbook.event((Resumed if origin.kind == "resume" else Started)(step=origin.step, changed=changed))
        try:
            checkpoint = str(origin.checkpoint.path) if origin.checkpoint else None
            trainer.fit(settings.module, datamodule=settings.data, ckpt_path=checkpoint, weights_only=True)
        except NonFiniteLoss as error:
            logbook.end("failed", trainer.global_step, str(error))
            self.error, self.exit_code = error, 1
        except (WriteError, SettingsError) as error:
            logbook.end("failed", trainer.global_step, str(error))
            raise
        except Exception as error:
            logbook.end("failed", trainer.global_step, f"{type(error).__name__}: {error}")
            if is_oom_error(error):
                raise SettingsError(out_of_memory(settings.data)) from None
            # Not a mistake in the settings, whatever its type: it keeps its traceback.
            raise RuntimeError(f"training failed at step {trainer.global_step}") from error
        finally:
            close_loggers(loggers)
        if self.error is None:
            self._end(trainer, logbook)
        self.listener.ended(self)

    def _end(self, trainer: StoppableTrainer, logbook: Logbook) -> None:
        step, total = trainer.global_step, trainer.max_steps
        if step >= total:
            logbook.end("completed", step)
        else:
            kept = "saved" if any(step == info.step for info in self.run.checkpoints()) else "with nothing trained"
            logbook.end("stopped", step, f"stopped at step {step:,} of {total:,} {trainer.why_stopped()}, {kept}")
            self.exit_code = 0 if self.interrupts.signal is None else 128 + self.interrupts.signal
