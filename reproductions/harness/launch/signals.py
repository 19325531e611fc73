"""The handler of SIGTERM."""


def interrupt(*_: object) -> None:
    """End as after Ctrl-C."""
    raise KeyboardInterrupt
