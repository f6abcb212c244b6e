"""What `ringostat` does: a file for each command. Only this package imports click and rich."""
