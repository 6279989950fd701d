from __future__ import annotations

from calogan.terminal import print_table


def test_a_table_is_plain_text_without_a_terminal(capsys):
    print_table(("name", "verdict"), [("[bold]a[/bold]", "pass"), ("b", "fail, by far")], left=(0, 1), title="Both")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "Both"
    assert [cell.strip() for cell in lines[4].strip("│").split("│")] == ["[bold]a[/bold]", "pass"]
    assert "\x1b" not in "".join(lines)
