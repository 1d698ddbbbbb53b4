"""Arms' names: made from the recipe alone, so that another arm in the study never renames one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from frostline.study._recipe import Head, Optimizer, Phase, Recipe, Schedule

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["derive_name", "name_parts", "varying_parts"]


def derive_name(recipe: Recipe) -> str:
    """Return a recipe's name, such as ``resnet18 layer4 adam-0.001 5ep cosine seed0``: all that isn't the default."""
    return " ".join(name_parts(recipe).values())


def varying_parts(recipes: Sequence[Recipe]) -> Collection[str]:
    """Return the keys of the parts of a name in which some recipes differ."""
    parts = [name_parts(recipe) for recipe in recipes]
    keys = {key for each in parts for key in each}
    return {key for key in keys if len({each.get(key) for each in parts}) > 1}


def name_parts(recipe: Recipe) -> dict[str, str]:
    """Return the words of a recipe's name by what they tell, in the order in which they are read."""
    parts = {"backbone": recipe.backbone}
    for index, phase in enumerate(recipe.phases):
        if index:
            parts[f"then {index}"] = "then"
        parts.update({f"{key} {index}": text for key, text in _phase_parts(phase).items()})
    parts |= {
        "weights": f"weights={recipe.weights}",
        "weights_key": f"key={recipe.weights_key}",
        "image_size": f"{recipe.image_size}px",
        "batch_size": f"batch{recipe.batch_size}",
        "head": _head(recipe.head),
        "augmentation": f"{recipe.augmentation}-{recipe.views}",
        "label_smoothing": f"smooth{_number(recipe.label_smoothing)}",
        "class_weights": _class_weights(recipe),
        "frozen_norm": f"frozen-{recipe.frozen_norm}",
        "tail_norm": f"tail-{recipe.tail_norm}",
        "activations": "activations-auto" if recipe.activations == "auto" else recipe.activations,
    }
    plain = Recipe()
    for key in Recipe.model_fields.keys() & parts.keys() - {"backbone"}:
        if getattr(recipe, key) == getattr(plain, key):
            del parts[key]
    return {**parts, "seed": f"seed{recipe.seed}"}


def _phase_parts(phase: Phase) -> dict[str, str]:
    parts = {
        "train_from": phase.train_from,
        "optimizer": _optimizer(phase.optimizer),
        "epochs": f"{phase.epochs}ep",
        "schedule": _schedule(phase.schedule),
    }
    return {key: text for key, text in parts.items() if text}


def _optimizer(optimizer: Optimizer) -> str:
    plain = Optimizer(name=optimizer.name)
    words = [optimizer.name, _number(optimizer.lr)]
    if optimizer.momentum != plain.momentum:
        words.append(f"m{_number(optimizer.momentum)}")
    if optimizer.nesterov:
        words.append("nesterov")
    if optimizer.weight_decay != plain.weight_decay:
        words.append(f"wd{_number(optimizer.weight_decay)}")
    if optimizer.stage_decay != plain.stage_decay:
        words.append(f"sd{_number(optimizer.stage_decay)}")
    return "-".join(words)


def _schedule(schedule: Schedule) -> str:
    if schedule.name == "step":
        return f"step-{schedule.step_epochs}-{_number(schedule.gamma)}"
    return "" if schedule.name == "constant" else schedule.name


def _head(head: Head) -> str:
    words = ["hidden" + "-".join(str(width) for width in head.hidden)]
    if head.dropout:
        words.append(f"dropout{_number(head.dropout)}")
    return "-".join(words)


def _class_weights(recipe: Recipe) -> str:
    if isinstance(recipe.class_weights, str):
        return recipe.class_weights
    weights = ",".join(f"{name}={_number(weight)}" for name, weight in recipe.class_weights.items())
    return f"classes({weights})"


def _number(value: float) -> str:
    """Return the shortest text that is this number and no other: 0.001, 1e-05, 1."""
    return repr(value).removesuffix(".0")
