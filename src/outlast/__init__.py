"""outlast keeps long machine-learning training runs alive, honest and finished.

In a training: `import outlast`, then `outlast.training(total_steps=...)`, or one callback: `outlast.hf.Callback()`,
`outlast.lightning.Callback()`, `outlast.accelerate`. Importing this package imports nothing else; each name is loaded
when it is first used, so that it may stand beside anybody's torch and in every command line tool.
"""

TYPE_CHECKING = False  # importing `typing` alone would double the start of a bare interpreter
if TYPE_CHECKING:
    from typing import Any

    from outlast.sdk import Training, resume_from, training

__version__ = "0.1.0"
__all__ = ["Training", "__version__", "resume_from", "training"]
_FRAMEWORKS = ("accelerate", "hf", "lightning")  # modules of their own, above the SDK


def __getattr__(name: str) -> "Any":
    if name in __all__:
        from outlast import sdk

        return getattr(sdk, name)
    if name in _FRAMEWORKS:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'outlast' has no attribute {name!r}")
