"""Puts off what Lightning and Gradio import and nothing here uses: TorchDynamo, SymPy, most of torchmetrics, pandas.

That is more than half of the time until a fit's first step, and a third of that until the page answers. `install` is
called by `import lab`, before any file can import these. Three means:

- A package is *put off* (`PUT_OFF`): it and its files can be imported, but its own `__init__`, which imports all of
  them, runs only when it is asked for a name that is not in the table. It is then complete, whoever asks.
- While Lightning is imported, `torch._dynamo` is a stand-in with the two names that Lightning wants of it. Later it is
  what PyTorch makes of it: what compiles imports it.
- Gradio writes a file of types beside each of its components whenever it is imported; it is left as it was installed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

DYNAMO = "torch._dynamo"
PLOT = "torchmetrics.utilities.plot"


def _from(file: str) -> Callable[[str], Any]:
    return lambda name: getattr(import_module(file), name)


def _plot(*args: Any, **settings: Any) -> Any:
    """torchmetrics' own, once something is plotted."""
    return in_full(sys.modules[PLOT]).plot_single_or_multi_val(*args, **settings)


PUT_OFF: dict[str, dict[str, Callable[[str], Any]]] = {
    "torchmetrics": {
        "Metric": _from("torchmetrics.metric"),
        "MetricCollection": _from("torchmetrics.collections"),
        "SumMetric": _from("torchmetrics.aggregation"),
        "__version__": _from("torchmetrics.__about__"),
        "_logger": lambda _: import_module("logging").getLogger("torchmetrics"),
    },
    "torchmetrics.utilities": {"rank_zero_warn": _from("torchmetrics.utilities.prints")},
    "torchmetrics.wrappers": {},
    "pandas": {},  # Gradio's cache imports it
    PLOT: {  # it imports matplotlib, for annotations
        "_AX_TYPE": lambda _: object,
        "_PLOT_OUT_TYPE": lambda _: object,
        "plot_single_or_multi_val": lambda _: _plot,
    },
}
"""Module → the names that may be asked of it without running it, and what is answered."""
FIRST = ("pandas",)
"""Those whose own `__init__` has to run before their files."""


class Deferred(ModuleType):
    """A module whose code runs once something is asked of it that is not in `PUT_OFF`."""

    def __getattr__(self, name: str) -> Any:
        if known := PUT_OFF[self.__name__].get(name):
            return known(name)
        if name.startswith("__") and name not in ("__all__", "__version__"):  # what tools ask of every module
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(in_full(self), name)


def in_full(module: ModuleType) -> ModuleType:
    """The module itself, after its code has run."""
    with _running:
        if isinstance(module, Deferred):
            module.__class__ = ModuleType  # type: ignore[assignment]
            module.__spec__.loader.loader.exec_module(module)  # type: ignore[union-attr]
    return module


_running = threading.RLock()


class _Loader:
    """Loads as `loader` does, save for what its two subclasses change."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> Any:  # the source for tracebacks, files of the package
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """None: as Python makes it."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        self.loader.exec_module(module)


class _Later(_Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Deferred(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Not yet."""


class _WithoutDynamo(_Loader):
    def exec_module(self, module: ModuleType) -> None:
        """Run the code of Lightning, which imports all of its files."""
        if DYNAMO in sys.modules:
            return self.loader.exec_module(module)
        sys.modules[DYNAMO] = _stand_in()
        try:
            self.loader.exec_module(module)
        finally:
            del sys.modules[DYNAMO]


class _WithoutTypeFiles(_Loader):
    def exec_module(self, module: ModuleType) -> None:
        """Run the code, and leave out what writes the files."""
        self.loader.exec_module(module)
        module.create_or_modify_pyi = lambda *_: None  # type: ignore[attr-defined]


class _Already(_Loader):
    """Of a file that was imported while its package came in full: it stays that module."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(None)
        # `import` would load by the module's own specification, once more, if it had one.
        self.module, self.spec, module.__spec__ = module, module.__spec__, None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """It has run."""
        module.__spec__ = self.spec


class _IsCompiled(type):
    def __instancecheck__(cls, instance: object) -> bool:
        real = sys.modules.get(f"{DYNAMO}.eval_frame")  # unless it is imported, nothing was compiled
        return real is not None and isinstance(instance, real.OptimizedModule)


class _OptimizedModule(metaclass=_IsCompiled):
    """In place of the class of compiled modules: what is an instance of that, is one of this."""


def _disable(function: Any, recursive: bool = True, **reason: Any) -> Any:
    """Mark a function as one that TorchDynamo leaves alone, as it does itself."""
    function._torchdynamo_disable = True
    return function


def _stand_in() -> ModuleType:
    module = ModuleType(DYNAMO)
    module.OptimizedModule, module.disable = _OptimizedModule, _disable  # type: ignore[attr-defined]
    return module


class _Finder:
    """What `import` asks first: finds as ever, and changes how the modules named here are loaded."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """None for every other module."""
        package = sys.modules.get(name.rpartition(".")[0])
        if isinstance(package, Deferred) and package.__name__ in FIRST:
            in_full(package)
            found = sys.modules.get(name)
            return None if found is None else ModuleSpec(name, _Already(found))  # type: ignore[arg-type]
        loader = LOADERS.get(name)
        if loader is None or (spec := PathFinder.find_spec(name, path, target)) is None or spec.loader is None:
            return None
        spec.loader = loader(spec.loader)  # type: ignore[assignment]
        return spec


LOADERS: dict[str, type[_Loader]] = {
    "lightning": _WithoutDynamo,
    "gradio.component_meta": _WithoutTypeFiles,
    **dict.fromkeys(PUT_OFF, _Later),
}


def install() -> None:
    """Once a process."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
