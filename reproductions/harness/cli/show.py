"""`show`: what one claim declares."""

import typer

from reproductions.harness.cli.options import choose


def show(name: str) -> None:
    """Print a claim's protocol, questions, variants and rule.

    Example: `show fig1_relu`
    """
    from reproductions.harness.report.describe import describe

    typer.echo(describe(choose([name])[0]))
