"""Commands that need no Lightning: one file each, `main(argv: list[str]) -> int`."""
