"""Options that several commands share."""

import click

__all__ = ["bundle_argument", "prefer_option"]

bundle_argument = click.argument("bundle", type=click.Path())

prefer_option = click.option(
    "--prefer",
    metavar="WORD",
    help="Only candidates of this variant, format, precision, backend, device or kind of device.",
)
