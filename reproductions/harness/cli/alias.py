"""`run --launch slurm` and `run --launch local` are other names of `submit`."""

from typing import Any

from typer.core import TyperGroup


class Commands(TyperGroup):
    """The commands; `run --launch slurm` takes the options of `submit`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first argument names."""
        return super().resolve_command(ctx, as_submit(args))


def as_submit(args: list[str]) -> list[str]:
    """`run ... --launch slurm` as `submit ... --slurm`; `--launch debug` is `run` alone."""
    if args[:1] != ["run"]:
        return args
    words = [part for word in args[1:] for part in _parts(word)]
    if "--launch" not in words:
        return args
    at = words.index("--launch")
    launcher, rest = words[at + 1 : at + 2], words[:at] + words[at + 2 :]
    if launcher == ["debug"]:
        return ["run", *rest]
    return ["submit", f"--{launcher[0]}", *rest] if launcher in (["slurm"], ["local"]) else args


def _parts(word: str) -> list[str]:
    return word.split("=", 1) if word.startswith("--launch=") else [word]
