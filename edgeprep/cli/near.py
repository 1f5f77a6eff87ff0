"""Groups of commands that know what was meant."""

import click

__all__ = ["NearGroup"]


class NearGroup(click.Group):
    """A group of commands; a name that is none of theirs is answered with the nearest one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See `click.Group`."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            from difflib import get_close_matches  # only a wrong command pays for it

            near = get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"command: must be one that there is, got {name!r}{hint}", ctx)
        return super().resolve_command(ctx, args)
