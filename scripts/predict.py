"""python -m scripts.predict -i prompt="Why is the sea salty?" [-i name=value ...]

Runs one prediction on this project's own server, which it starts. The same as python -m scripts.call local, with all
its options.
"""

import sys

from scripts import call


def main(argv: list[str]) -> int:
    return call.main(["local", *argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
