"""The two ways in which a command fails, and their exit codes."""

import click


class ConfigurationError(click.ClickException):
    """Usage, settings or seeds are wrong: nothing was touched, exit 2."""

    exit_code = 2


class LoadError(click.ClickException):
    """Something failed at work, for one project or for all: exit 1.

    The text reaches the log and the load log's `error` column, so it never holds a secret.
    """

    exit_code = 1
