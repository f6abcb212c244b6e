"""The two ways in which a command fails, and their exit codes."""


class Failure(Exception):
    """What is told in one line. The text reaches logs and the load log: it never holds a secret."""

    exit_code = 1


class ConfigurationError(Failure):
    """Usage, settings or seeds are wrong: nothing was touched, exit 2."""

    exit_code = 2


class LoadError(Failure):
    """Something failed at work, for one project or for all: exit 1."""
