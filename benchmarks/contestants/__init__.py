"""The contestants: a script each, which reads a job from standard input and writes what it measured."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CONTESTANTS", "Contestant"]


@dataclass(frozen=True)
class Contestant:
    """Who takes part, with the packages it needs beside ours.

    ``whole`` contestants run every arm on all images; the others an epoch for each different ``train_from`` on fewer
    images, and their time for all arms is worked out from that. ``shares_epochs`` is for a loop that trains 2, 3 and 5
    epochs as one run of 5. ``heads_only`` can't train anything else.
    """

    name: str
    title: str
    requirements: tuple[str, ...] = ()
    whole: bool = False
    shares_epochs: bool = False
    heads_only: bool = False


CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant("notebook", "the notebook's loop"),
        Contestant("handwritten", "the best hand-written loop", shares_epochs=True),
        Contestant("fastai_learner", "fastai", ("fastai==2.8.12",)),
        Contestant("lightning_finetuning", "Lightning", ("lightning==2.6.6",)),
        Contestant("huggingface_trainer", "Hugging Face Trainer", ("transformers==5.24.0", "accelerate==1.15.0")),
        Contestant("sklearn_features", "scikit-learn on features", whole=True, heads_only=True),
        Contestant("frostline_run", "Frostline", whole=True),
    )
}
