"""The list of commands in sections: what one talks with, looks with, and looks after the rest with."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

TALK, LOOK, MAINTAIN, SERVE = "Talk", "Look", "Maintain", "Serve and measure"


class Sections(TyperGroup):
    """Lists each command below the panel it was given, those without one below `MAINTAIN`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        panels = {name: getattr(self.commands[name], "rich_help_panel", None) for name in self.list_commands(ctx)}
        for title in (TALK, LOOK, MAINTAIN, SERVE):
            names = [name for name, panel in panels.items() if (panel if isinstance(panel, str) else MAINTAIN) == title]
            room = formatter.width - 6 - max(map(len, names), default=0)
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(room)) for name in names])
