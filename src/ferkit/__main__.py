"""``python -m ferkit``, so that ``torchrun -m ferkit`` and ``accelerate launch -m ferkit`` work."""

from ferkit.cli import main

if __name__ == "__main__":
    main()
