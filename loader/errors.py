"""The errors that a command reports in one line, and their exit codes."""


class Failure(Exception):
    """Shown as one line. The text gets into logs and the load log: it must not contain a secret."""

    exit_code = 1


class ConfigurationError(Failure):
    """Usage, settings or seeds are wrong: nothing was changed, exit 2."""

    exit_code = 2


class LoadError(Failure):
    """Something failed while running, for one project or for all: exit 1."""


class DbtInterrupted(LoadError):
    """Ctrl-C or SIGTERM while dbt was running: exit 1, but no failure that an alert should tell."""
