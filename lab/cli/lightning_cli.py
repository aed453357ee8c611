"""`fit` and `validate`: Lightning's CLI with the lab's groups of settings, and what is decided before a run starts."""

from __future__ import annotations

from typing import Any

import lightning as L
import yaml
from lightning.pytorch.callbacks import Callback, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from lab.callbacks.checkpoints import Checkpoints
from lab.callbacks.crew import Crew
from lab.callbacks.instruments import INSTRUMENTS
from lab.callbacks.journal import Journal
from lab.callbacks.snapshots import Snapshots
from lab.callbacks.validation import Validation
from lab.cli.parser import DECIDED_ELSEWHERE, LabParser, SettingsError, Sources, every_problem, known_keys
from lab.cli.predict import PredictConfig
from lab.cli.room import refuse_what_cannot_fit
from lab.cli.settings import RunConfig, Tracking, given_but_decided_elsewhere, problems_of
from lab.data.datamodule import LabDataModule
from lab.runs.compare import flatten
from lab.training.horizon import HorizonConfig
from lab.training.levers import LeverConfig
from lab.training.loop import StepLoop
from lab.training.module import PretrainingModule
from lab.training.trainer import LabTrainer

DEFAULT_SEED = 1337
PLAN_ARGUMENTS = {
    "pilot": (bool, False, "Train a ladder of small models, a tenth of the run's FLOPs, and forecast the final loss."),
    "measure": (bool, True, "Take a few real steps: minutes and memory as measured."),
    "minutes": (float | None, None, "Choose the model: the largest sensible one for so many minutes on this machine."),
    "schedule": (str | None, None, "Also draw the learning rate into this file (.png, .svg or .pdf)."),
    "json": (bool, False, "Print JSON."),
}
"""What `plan` takes beside the settings of a fit: type, default, help."""
HORIZONS = ("steps", "tokens", "tokens_per_parameter", "minutes")


class LabCLI(LightningCLI):
    """Parses and checks the settings and builds data and model; the commands themselves build the trainer.

    Lightning's own class would construct the trainer at once. Here the run directory, which loggers and checkpoints
    need, must exist first, and it is made only when everything that can be refused has been.
    """

    def __init__(self, command: str, args: list[str]) -> None:
        self.given_args = args
        self.sources = Sources(args)
        super().__init__(
            PretrainingModule,
            LabDataModule,
            save_config_callback=None,
            trainer_class=LabTrainer,
            seed_everything_default=DEFAULT_SEED,
            parser_kwargs={"prog": "python -m lab"},
            parser_class=LabParser,
            args=[command, *args],
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    # ---------------------------------------------------------------- which settings there are

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The commands, and the arguments of Trainer's methods that are not the person's business.

        `ckpt_path` is hidden because Lightning lets the hyperparameters stored in that file overrule the configuration
        in silence; `--resume` does the opposite and says so.
        """
        hidden = {"model", "datamodule", "ckpt_path", "weights_only", "verbose"}
        return {
            "fit": hidden | {"train_dataloaders", "val_dataloaders"},
            "plan": hidden | {"train_dataloaders", "val_dataloaders"},
            "validate": hidden | {"dataloaders"},
        }

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Trainer without what the lab decides, so that neither --help nor config.yaml offers it; model; data."""
        skip = {key.removeprefix("trainer.") for key in DECIDED_ELSEWHERE if key.startswith("trainer.")}
        parser.add_class_arguments(
            LabTrainer, "trainer", instantiate=False, fail_untyped=False, sub_configs=True, skip=skip
        )
        parser.add_lightning_class_args(PretrainingModule, "model")
        parser.add_lightning_class_args(LabDataModule, "data")

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The lab's groups beside `model`, `data` and `trainer`."""
        parser.add_class_arguments(RunConfig, "run")
        parser.add_class_arguments(HorizonConfig, "horizon")
        parser.add_class_arguments(LeverConfig, "levers")
        parser.add_class_arguments(PredictConfig, "predict")
        parser.add_lightning_class_args(Journal, "log")
        parser.add_lightning_class_args(Validation, "validation")
        parser.add_lightning_class_args(Snapshots, "snapshots")
        parser.add_lightning_class_args(Checkpoints, "checkpoint")
        for instrument in INSTRUMENTS:
            parser.add_lightning_class_args(instrument, instrument.group)
        parser.add_argument(
            "--tensorboard", type=bool, default=True, help="Write TensorBoard files into the run directory."
        )
        parser.add_argument(
            "--wandb",
            type=Tracking,
            default="off",
            help="Weights & Biases: off, offline (files in the run directory), online.",
        )
        parser.link_arguments("data.vocab_size", "model.config.vocab_size", apply_on="instantiate")

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        what = "--config FILE" if subcommand != "validate" else "RUN[@STEP]"
        parser.usage = f"python -m lab {subcommand} {what} [--SETTING VALUE …]"
        if subcommand == "fit":
            parser.add_argument(
                "--resume", type=str | None, default=None, help="Go on with RUN (a name, a path or `last`)."
            )
            parser.add_argument(
                "--fork", type=str | None, default=None, help="RUN@STEP: a new run that starts from that checkpoint."
            )
            parser.add_argument(
                "--check", type=bool, default=False, nargs="?", const=True, help="Check the settings and train nothing."
            )
        elif subcommand == "plan":
            add_plan_arguments(parser)
        else:
            parser.add_argument("--weights", type=str | None, default=None, help="RUN or RUN@STEP to validate.")
        return parser

    # ---------------------------------------------------------------- reading them

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse; on a mistake go on parsing without it, so that all of them are reported together."""
        sub = self._subcommand_parsers[args[0]]
        try:
            if wrong := Sources(args[1:]).wrong_groups(known_keys(sub)):
                raise SettingsError(wrong[0])
            # Else a preset's settings come with the path of its file among them, as `__path__`.
            self.config = parser.parse_args(args).clone(with_meta=False)
        except SettingsError as error:
            raise SettingsError("\n".join(every_problem(sub, args[1:], error))) from None

    @property
    def settings(self) -> Any:
        """The settings of the chosen command."""
        return self.config[self.config.subcommand]

    def _set_seed(self) -> None:
        """Nothing yet: the seed is checked together with the other settings first."""

    def before_instantiate_classes(self) -> None:
        """Everything that can be refused without touching data or device is refused here, all at once."""
        settings = self.settings
        self._keep_newest_horizon()
        self.config_text = self.dump_settings()
        given = self.sources.given_keys()
        if settings.data.context_length is None:
            settings.data.context_length = settings.model.config.context_length
        problems = given_but_decided_elsewhere(given) + problems_of(settings)
        if problems:
            raise SettingsError("\n".join(dict.fromkeys(problems)))
        seed_everything(settings.seed_everything)

    def _keep_newest_horizon(self) -> None:
        """`--horizon.steps 100` over a YAML that says `minutes: 5` means 100 steps, not a contradiction."""
        layers = [content.get("horizon") or {} for _, content in self.sources.files]
        layers.append(
            {
                k.split(".")[1]: 1
                for k, where in self.sources.given_keys().items()
                if k.startswith("horizon.") and where == "command line"
            }
        )
        newest = next((layer for layer in reversed(layers) if any(layer.get(k) is not None for k in HORIZONS)), {})
        for key in HORIZONS:
            if newest.get(key) is None:
                self.settings.horizon[key] = None

    def dump_settings(self) -> str:
        """The whole configuration as YAML, less the run's name, what links fill in, and what only this start asked."""
        return yaml.safe_dump(self._plain(self.settings), sort_keys=False, allow_unicode=True)

    def chosen(self) -> dict[str, Any]:
        """Settings that are not as by default: dotted name → what the default is."""
        now = flatten(yaml.safe_load(self.config_text))
        default = flatten(self._plain(self._parser(self.config.subcommand).get_defaults()))
        return {name: default.get(name) for name, value in now.items() if value != default.get(name)}

    def _plain(self, settings: Any) -> dict[str, Any]:
        parser = self._parser(self.config.subcommand)
        tree = yaml.safe_load(parser.dump(settings, skip_link_targets=True, skip_unset=False, format="yaml"))
        for key in ("config", "resume", "fork", "check", "weights", "predict", *PLAN_ARGUMENTS):
            tree.pop(key, None)
        tree["run"].pop("name", None)
        tree["model"]["config"].pop("vocab_size", None)
        return tree

    # ---------------------------------------------------------------- building

    def instantiate_classes(self) -> None:
        """Data and model; `--check` stops before, and the trainer is built by the command once there is a run."""
        if getattr(self.settings, "check", False):
            return
        if self.config.subcommand == "plan":
            refuse_what_cannot_fit(self.settings)
        self.config_init = self.parser.instantiate(self.config)
        self.datamodule: LabDataModule = self._get(self.config_init, "data")
        self.model: PretrainingModule = self._get(self.config_init, "model")
        self.model.seed = self.settings.seed_everything

    def _run_subcommand(self, subcommand: str) -> None:
        """Nothing: `lab.cli.main` runs the command when this object is complete."""

    def build_trainer(self, callbacks: list[Callback], **overrides: Any) -> LabTrainer:
        """The trainer of the `trainer:` group; `overrides` is what the lab decides; the person's callbacks are last."""
        given = dict(self._get(self.config_init, "trainer"))
        theirs = given.pop("callbacks", None) or []
        theirs = theirs if isinstance(theirs, list) else [theirs]
        bars = [callback for callback in callbacks if isinstance(callback, ProgressBar)]
        ours = [callback for callback in callbacks if callback not in bars]
        if given["profiler"] is None:  # a profiler wants to see each of them
            ours = [Crew(ours)]
        if given["enable_progress_bar"] is not False:
            ours += bars
        if given["devices"] == "auto":
            given["devices"] = 1  # Lightning would take every GPU there is
        trainer = LabTrainer(**{**given, **overrides, "callbacks": [*ours, *theirs]})
        trainer.fit_loop.epoch_loop = StepLoop(trainer, ours)
        return trainer

    def instrument(self, group: str) -> Callback:
        """The callback that the settings of `group` describe."""
        return self._get(self.config_init, group)


def add_plan_arguments(parser: LightningArgumentParser) -> None:
    """The options of `plan`; a yes or no needs no value."""
    for name, (kind, default, text) in PLAN_ARGUMENTS.items():
        flag = {"nargs": "?", "const": True} if kind is bool else {}
        parser.add_argument(f"--{name}", type=kind, default=default, help=text, **flag)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch before the weights are drawn; each training step seeds itself anew."""
    L.seed_everything(seed, workers=True, verbose=False)
