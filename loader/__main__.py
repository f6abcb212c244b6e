"""`python -m loader` is the command `ringostat`."""

from loader.commands.cli import main

if __name__ == "__main__":
    main(prog_name="ringostat")
