"""`python -m loader` is the command `ringostat`."""

from loader.cli import main

if __name__ == "__main__":
    main(prog_name="ringostat")
