"""The results as tables for people."""

from __future__ import annotations

from typing import Any

from benchmarks.contestants import CONTESTANTS

__all__ = ["format_table"]


def format_table(results: dict[str, Any]) -> str:
    """Return the results as Markdown: a table for each workload."""
    images, machine = results["images"], results["machine"]
    lines = [
        f"{images['train']:,} training and {images['val']:,} validation images of {images['source']}, "
        f"{machine['cores']} cores ({machine['processor']}). Everything counts, from starting Python to the numbers; "
        "for Frostline measuring the machine and compiling too. About (~): extrapolated from an epoch for each frost "
        "line on fewer images.",
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
        for key, row in workload["contestants"].items():
            title = CONTESTANTS[key].title
            if "error" in row:
                lines.append(f"| {title} | failed | | | {row['error'].splitlines()[-1][:80]} |")
                continue
            about = "~" if row["extrapolated"] else ""
            ratio = f"{about}{row['total_seconds'] / ours:.1f}" if ours else ""
            measured = row["measured"]
            epochs = sum(arm["epochs"] for arm in measured["arms"])
            accuracy = f"{row['epochs'][-1]['accuracy']:.1%}" if not row["extrapolated"] else ""
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
        if workload["target"]:
            lines.append(f"Target against the notebook's loop: {workload['target']}.")
        lines.append("")
    limit = results.get("limit")
    if limit:
        lines += ["**limit**: operations a second beside a large matrix product on the same threads", ""]
        lines += ["| what | Gop/s | of the product |", "|---|---:|---:|"]
        lines += [f"| {row['what']} | {row['gops']:.0f} | {row['share']:.0%} |" for row in limit]
        lines.append("")
    return "\n".join(lines)
