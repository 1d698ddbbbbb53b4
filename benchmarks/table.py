"""The results as tables for people."""

from __future__ import annotations

from typing import Any

from benchmarks.contestants import CONTESTANTS
from benchmarks.parts import PARTS

__all__ = ["format_table"]


def format_table(results: dict[str, Any]) -> str:
    """Return the results as Markdown: a table for each workload."""
    images, machine = results["images"], results["machine"]
    lines = [
        f"{images['train']:,} training and {images['val']:,} validation images of {images['source']}, "
        f"{machine['cores']} cores ({machine['processor']}). Everything counts, from starting Python to the numbers; "
        "for Frostline measuring the machine and compiling too. About (~): extrapolated from an epoch for each frost "
        "line on fewer images. Accuracy is the best of any arm and epoch.",
        "",
    ]
    for name, workload in results["workloads"].items():
        lines += [
            f"**{name}**: {workload['title']}",
            "",
            "| contestant | seconds | times Frostline | accuracy | measured |",
        ]
        lines.append("|---|---:|---:|---:|---|")
        ours = workload["contestants"].get("frostline_run", {}).get("total_seconds")
        for key, title in ((c.name, c.title) for c in CONTESTANTS.values() if c.name in workload["contestants"]):
            row = workload["contestants"][key]
            if "error" in row:
                lines.append(f"| {title} | failed | | | {row['error'].splitlines()[-1][:80]} |")
                continue
            about = "~" if row["extrapolated"] else ""
            ratio = f"{about}{row['total_seconds'] / ours:.1f}" if ours else ""
            measured = row["measured"]
            epochs = sum(arm["epochs"] for arm in measured["arms"])
            accuracy = f"{max(epoch['accuracy'] for epoch in row['epochs']):.1%}" if not row["extrapolated"] else ""
            lines.append(
                f"| {title} | {about}{row['total_seconds']:,.0f} | {ratio} | {accuracy} "
                f"| {epochs} epochs, {measured['n_train']:,} images |"
            )
        cost = workload["contestants"].get("frostline_run", {}).get("cost")
        if cost:
            lines += [
                "",
                f"Frostline: predicted {cost['predicted_seconds']:.0f} s, took {cost['seconds']:.0f} s "
                f"(passes {cost['pass_seconds']:.0f} s, training {cost['training_seconds']:.0f} s).",
            ]
        lines += _targets(workload)
        lines.append("")
    for name, rows in results["parts"].items():
        lines += [f"**{name}**: {PARTS[name]}", "", "| what | measured | target | met | detail |"]
        lines.append("|---|---:|---:|---|---|")
        lines += [_format_row(row) for row in rows]
        lines.append("")
    return "\n".join(lines)


def _targets(workload: dict[str, Any]) -> list[str]:
    """Say what was to be reached, as ratios of wall time to Frostline's, and what was."""
    seconds = {key: row["total_seconds"] for key, row in workload["contestants"].items() if "error" not in row}
    ours, notebook = seconds.pop("frostline_run", None), seconds.pop("notebook", None)
    lines = []
    if ours and notebook and workload["target"]:
        lines.append(f"Against the notebook's loop: {notebook / ours:.1f} times, to be at least {workload['target']}.")
    if ours and seconds and workload["others"]:
        best = min(seconds.values()) / ours
        lines.append(f"Against the best of the others: {best:.1f} times, to be at least {workload['others']}.")
    return lines


def _format_row(row: dict[str, Any]) -> str:
    def number(value: float) -> str:
        return f"{value:,.{row['digits']}f} {row['unit']}".strip()

    target = f"at least {number(row['least'])}" if row["least"] is not None else ""
    target += f"at most {number(row['most'])}" if row["most"] is not None else ""
    met = {True: "yes", False: "no", None: ""}[row["met"]]
    return f"| {row['what']} | {number(row['value'])} | {target} | {met} | {row['detail']} |"
