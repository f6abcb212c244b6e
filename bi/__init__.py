"""What people look at: the Superset dashboard and the documentation page."""
