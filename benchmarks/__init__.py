"""What the project costs, compared with what users would use instead and with the limit."""
