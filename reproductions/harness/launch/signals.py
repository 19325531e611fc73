"""What a process does on a signal."""


def interrupt(*_: object) -> None:
    """For SIGTERM: end as after Ctrl-C."""
    raise KeyboardInterrupt
