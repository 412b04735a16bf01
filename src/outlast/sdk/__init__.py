"""outlast in the training: its progress, and a safe stop. Standard library only, and little of that.

    with outlast.training(total_steps=1000) as run:
        for batch in run.track(loader):
            ...
            if run.should_stop:
                save()
                break

Nothing here raises into the training, blocks it or synchronises a device. Refuses to know: torch, Hugging Face,
and who watches.
"""

from outlast.sdk.training import Training, resume_from, training

__all__ = ["Training", "resume_from", "training"]
