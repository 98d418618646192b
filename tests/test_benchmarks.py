"""The figures in README and docs/benchmarks.md are those of the stored results."""

from __future__ import annotations

from benchmarks import table


def test_readme_and_page_show_the_stored_results(capsys):
    assert table.main(["--check"]) == 0, capsys.readouterr().err


def test_a_missed_aim_is_said():
    row = {"what": "x", "ours": "1", "other_name": "y", "other": "2", "ratio": "0.5 ×", "wanted": "≥ 1 ×", "met": False}
    result = {"title": "T", "machine": "m", "rows": [row], "notes": []}
    assert "≥ 1 × (missed)" in table.page({"t": result})
    readme = table.with_summary(f"a\n{table.BEGIN}\nold\n{table.END}\nb", {"t": result})
    assert "old" not in readme and "≥ 1 × (missed)" in readme
    assert readme.startswith("a\n") and readme.endswith("\nb")
