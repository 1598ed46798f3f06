"""`python -m nrbench` is the command `nrbench`."""

from nrbench.cli import main

main()
