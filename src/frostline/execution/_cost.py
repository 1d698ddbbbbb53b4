"""What a run cost, measured beside predicted, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frostline.execution._resuming import decided_by

if TYPE_CHECKING:
    from frostline.execution._context import Context
    from frostline.plan import PassPlan

__all__ = ["describe_cost", "seconds_left"]


def seconds_left(context: Context) -> float:
    """Return the predicted seconds of the passes and epochs that the ledger doesn't have yet."""
    ledger, run, plan = context.ledger, context.run, context.plan
    if context.plain:
        return plan.totals.plain_seconds
    made = {row.name for row in ledger.passes(run)}
    passes = sum(planned.seconds for planned in plan.passes if planned.name not in made)
    epochs = ((t.epochs - len(ledger.epochs(run, t.id))) * t.seconds_per_epoch for t in plan.trajectories)
    return passes + sum(epochs)


def describe_cost(context: Context, seconds: float) -> dict[str, Any]:
    """Return measured beside predicted: the run, its passes and trajectories, and each arm alone and on top."""
    if context.plain:
        return {"seconds": seconds, "predicted_seconds": context.plan.totals.plain_seconds}
    passes = {p.name: p.seconds for p in context.ledger.passes(context.run) if not p.reused}
    epochs = {
        t.id: [row.seconds for row in context.ledger.epochs(context.run, t.id)] for t in context.plan.trajectories
    }
    measured = {**passes, **{id_: sum(rows) / len(rows) for id_, rows in epochs.items() if rows}}
    again = context.prepared.plan(decided=decided_by(context.ledger, context.run), measured=measured)
    return {
        "seconds": seconds,
        "predicted_seconds": context.plan.totals.seconds,
        "pass_seconds": sum(passes.values()),
        "training_seconds": sum(sum(rows) for rows in epochs.values()),
        "predicted_bytes": context.plan.totals.bytes,
        "plain_seconds": context.plan.totals.plain_seconds,
        "passes": [_pass_cost(context, planned) for planned in context.plan.passes],
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


def _pass_cost(context: Context, planned: PassPlan) -> dict[str, Any]:
    """Return a pass's measured cost beside its prediction; of one that was read from the cache only the bytes are."""
    made = next((row for row in context.ledger.passes(context.run) if row.name == planned.name), None)
    return {
        "name": planned.name,
        "seconds": made.seconds if made else 0.0,
        "predicted_seconds": planned.seconds,
        "bytes": made.n_bytes if made else 0,
        "predicted_bytes": planned.bytes,
        "reused": made is None or made.reused,
    }
