"""The errors of the suite that a user can fix, and the exit statuses of its commands."""

# 0 says that the requested work is complete, whatever the verdict
USAGE, INCOMPLETE, BAD_DATA, STALE_REPORT = 2, 3, 4, 5


class SuiteError(Exception):
    """What is wrong and what to do, in one line; a command ends with it and with `status`."""

    status = INCOMPLETE
    prefix = ""  # of the line


class BadDataError(SuiteError):
    """Files hold something else than they should."""

    status = BAD_DATA


class RecordError(SuiteError):
    """A record is broken or cannot be written."""


class UnreadableError(BadDataError):
    """Records are there that cannot be read now, or not by this version.

    Nothing may count them as missing.
    """


def explained(error: BaseException) -> tuple[str, int] | None:
    """The line and the exit status for an error that a user can fix; None for any other."""
    from alexnet.data.imageset import DataError  # noqa: PLC0415 - numpy takes longer than `--help`

    match error:
        case SuiteError():
            found = f"{error.prefix}{error}", error.status
        case DataError():  # the library knows nothing of statuses
            found = str(error), BAD_DATA
        case ValueError() if type(error) is ValueError:
            found = str(error), USAGE
        case KeyboardInterrupt():
            found = "interrupted; run the same command again to resume", INCOMPLETE
        case MemoryError():
            found = "out of memory; nothing that was finished is lost", INCOMPLETE
        case OSError():
            what = f"{error.filename or 'a file'}: {error.strerror or error}"
            found = f"{what}; nothing that was finished is lost", INCOMPLETE
        case _:
            return None
    return found
