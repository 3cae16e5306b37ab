"""The sections of the list of commands in `hypnogram --help`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

TALK, LOOK, MAINTAIN, SERVE = "Talk", "Look", "Maintain", "Serve and measure"


class Sections(TyperGroup):
    """Lists each command below its panel, or below `MAINTAIN` if it has none."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        panels = {name: getattr(self.commands[name], "rich_help_panel", None) for name in self.list_commands(ctx)}
        for title in (TALK, LOOK, MAINTAIN, SERVE):
            names = [name for name, panel in panels.items() if (panel if isinstance(panel, str) else MAINTAIN) == title]
            room = formatter.width - 6 - max(map(len, names), default=0)
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(room)) for name in names])
