"""The command `ringostat`, one file per subcommand. Only this package imports click and rich."""
