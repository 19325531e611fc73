"""Reads the tables that people write: a TOML file beside this one for each.

Imports no torch.
"""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from reproductions.harness.errors import BadDataError

FOLDER = Path(__file__).parent


class TableRow(BaseModel):
    """A row: no unknown keys, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Row = TypeVar("Row", bound=TableRow)


def read_table(name: str, kind: type[Row]) -> tuple[Row, ...]:
    """The rows of a file, each headed by the name of their class: [[statement]].

    Raises BadDataError if the file is missing or broken, with its first fault.
    """
    try:
        found = tomllib.loads((FOLDER / name).read_text("utf-8")).get(kind.__name__.lower())
        return TypeAdapter(tuple[kind, ...]).validate_python(found)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        row, *field = first["loc"] or ("no row",)
        at = f"row {row + 1}" if isinstance(row, int) else row
        why = f"{' '.join(map(str, [at, *field]))}: {first['msg']}"
    except OSError as error:
        why = error.strerror or ""
    except ValueError as error:  # no TOML, or not in UTF-8
        why = str(error)
    raise BadDataError(f"{FOLDER / name} cannot be read ({why}); restore it, or install again")
