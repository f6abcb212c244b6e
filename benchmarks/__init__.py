"""What the project costs, beside what users would pick instead and beside the limit."""
