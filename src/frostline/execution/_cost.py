"""What a run cost, measured beside predicted, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frostline.execution._stored import rows_missing

if TYPE_CHECKING:
    from frostline.execution._context import Context
    from frostline.ledger import Ledger, PassRow
    from frostline.plan import PassPlan

__all__ = ["describe_cost", "seconds_left"]


def seconds_left(context: Context, ledger: Ledger) -> float:
    """Return the predicted seconds of judging, passes that the cache doesn't have, epochs that the ledger doesn't."""
    run = context.run
    if context.plain:
        return context.plan.totals.plain_seconds
    # A run that is taken up again keeps to its first plan, which doesn't know what was stored since.
    missing = rows_missing(context.prepared, context.networks, context.engine, context.store)
    plan = context.prepared.plan(decided=context.plan.decided, missing=missing)
    passes = sum(planned.seconds for planned in plan.passes)
    whole = sum(t.seconds for t in plan.trajectories)
    ahead = sum((t.epochs - len(ledger.epochs(run, t.id))) * t.seconds_per_epoch for t in plan.trajectories)
    training = plan.totals.training_seconds * ahead / whole if whole else 0.0
    return passes + training + plan.totals.test_seconds


def describe_cost(context: Context, ledger: Ledger) -> dict[str, Any]:
    """Return measured beside predicted: the run, its passes and trajectories, and each arm alone and on top.

    Passes that the cache had aren't counted in what was predicted for the run, as they weren't made.
    """
    if context.plain:
        return {"predicted_seconds": context.plan.totals.plain_seconds}
    made = {row.name: row for row in ledger.passes(context.run)}
    passes = {name: row.seconds for name, row in made.items() if not row.reused}
    epochs = {t.id: [row.seconds for row in ledger.epochs(context.run, t.id)] for t in context.plan.trajectories}
    # What a pass over all of its images would take: an arm alone would find nothing in the cache.
    whole = {name: passes[name] * row.n_images / row.n_passed for name, row in made.items() if not row.reused}
    measured = {**whole, **{id_: sum(rows) / len(rows) for id_, rows in epochs.items() if rows}}
    again = context.prepared.plan(decided=context.plan.decided, measured=measured)
    predicted = {planned.name: planned.seconds for planned in context.plan.passes}
    # The only pass that isn't in the plan is that over the test images.
    reused = sum(predicted.get(name, context.plan.totals.test_pass_seconds) for name in made.keys() - passes.keys())
    return {
        "predicted_seconds": context.plan.totals.seconds - reused,
        "pass_seconds": sum(passes.values()),
        "training_seconds": sum(sum(rows) for rows in epochs.values()),
        "predicted_bytes": context.plan.totals.bytes,
        "alone_seconds": again.totals.alone_seconds,
        "plain_seconds": again.totals.plain_seconds,
        "passes": [_pass_cost(made[p.name], p) for p in context.plan.passes if p.name in made],
        "trajectories": [
            {
                "id": t.id,
                "epochs": len(epochs[t.id]),
                "seconds": sum(epochs[t.id]),
                "predicted_seconds": t.seconds_per_epoch * len(epochs[t.id]),
            }
            for t in context.plan.trajectories
        ],
        "arms": {
            arm.name: {
                "alone_seconds": arm.alone_seconds,
                "marginal_seconds": arm.marginal_seconds,
                "predicted_alone_seconds": planned.alone_seconds,
                "predicted_marginal_seconds": planned.marginal_seconds,
                "plain_seconds": arm.plain_seconds,
            }
            for arm, planned in zip(again.arms, context.plan.arms, strict=True)
        },
    }


def _pass_cost(made: PassRow, planned: PassPlan) -> dict[str, Any]:
    """Return a pass's measured cost beside its prediction; of one that was read from the cache only the bytes are."""
    return {
        "name": planned.name,
        "seconds": made.seconds,
        "predicted_seconds": planned.seconds,
        "n_images": made.n_images,
        "n_passed": made.n_passed,
        "bytes": made.n_bytes,
        "predicted_bytes": planned.bytes,
        "reused": made.reused,
    }
