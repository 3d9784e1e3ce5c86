"""Ctrl-C ends in a sentence from the first import on, before there is a command that could say it."""

import sys
from types import TracebackType


def say_interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Take Python's place in telling of an exception that nobody caught."""
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("interrupted; nothing was begun\n")
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = say_interrupted
