"""Tables on a terminal: as wide as it is, verdicts coloured; plain where they are piped."""

import os
import pty
import re
import subprocess
import sys

import pytest

LIST = [sys.executable, "-m", "reproductions", "list"]


def on_terminal(**variables: str) -> str:
    """What `list` writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"COLUMNS": "80", "TERM": "xterm", **variables}
    with subprocess.Popen(LIST, stdout=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        found = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal closes with its last process
                break
            if not part:
                break
            found += part
    os.close(ours)
    assert process.returncode == 0
    return found.decode()


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_table_fits_80_columns(variables: dict[str, str], coloured: bool) -> None:
    text = on_terminal(**variables)
    assert bool(re.search(r"\x1b\[32m(confirmed|holds)", text)) == coloured
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("fig1_relu" in line for line in lines)


def test_a_piped_table_is_plain() -> None:
    done = subprocess.run(LIST, capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout
    assert re.search(r"^fig1_relu +empirical +§3.1, Figure 1 +1 ", done.stdout, re.MULTILINE)
