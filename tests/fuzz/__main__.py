"""Fuzz every parser for a while, guided by coverage: `python -m tests.fuzz --seconds 60 --seed 4`.

One failing input is shown as one line that shows it again:
`python -m tests.fuzz --target NAME --input BASE64`.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

WATCHED: Final = (
    "wire", "edge.scanning", "firmware_bridge", "runtime.config", "runtime.recording",
    "sim_hardware.scenarios", "sim_hardware.world.order_file",
)  # fmt: skip
INPUT_BYTES_MAX: Final = 4_096
INPUT_S_MAX: Final = 20
RSS_GROWTH_MB_MAX: Final = 256


def main() -> None:
    """Fuzz until the time is over; end with 1 at the first input that breaks something."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz")
    asked.add_argument("--seconds", type=int, default=60)
    asked.add_argument("--seed", type=int, default=4)
    asked.add_argument("--target", default="", help="only this one")
    asked.add_argument("--input", default="", help="once, with this input, as base64")
    args = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="stockhelm-fuzz-") as folder:
        if args.input:
            from tests.fuzz.targets import make_targets  # noqa: PLC0415 - else it is imported watched

            attempt(make_targets(Path(folder))[args.target], base64.b64decode(args.input))
            return
        _fuzz(Path(folder), args.target, seconds=args.seconds, seed=args.seed)


def attempt(target: Target, data: bytes) -> None:
    """Let a target read; what it may say to bad input is no failure."""
    with contextlib.suppress(*([target.error] if target.error else [])):
        target.read(data)


def _fuzz(folder: Path, only: str, *, seconds: int, seed: int) -> None:
    import atheris  # noqa: PLC0415 - it is not to be had on every platform

    with atheris.instrument_imports(include=list(WATCHED)):
        from tests.fuzz.targets import make_targets  # noqa: PLC0415 - watched from here on
    made = make_targets(folder)
    names = [name for name in made if only in ("", name)]

    def one(data: bytes) -> None:
        if not data:
            return
        name = names[data[0] % len(names)]
        try:
            attempt(made[name], data[1:])
        except BaseException:
            shown = base64.b64encode(data[1:]).decode()
            sys.stdout.write(f"python -m tests.fuzz --target {name} --input {shown}\n")
            sys.stdout.flush()
            raise

    corpus = folder / "corpus"
    corpus.mkdir()
    for number, (index, found) in enumerate(_seeds(made, names)):
        (corpus / f"seed-{number}").write_bytes(bytes([index]) + found[: INPUT_BYTES_MAX - 1])
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    atheris.Setup(
        [
            sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-seed={seed}",
            f"-max_len={INPUT_BYTES_MAX}", f"-timeout={INPUT_S_MAX}", "-print_final_stats=1",
            f"-rss_limit_mb={rss_mb + RSS_GROWTH_MB_MAX}", f"-artifact_prefix={folder}/",
        ],
        one,
    )  # fmt: skip
    sys.stdout.write(f"{len(names)} targets, begun at {rss_mb} MB\n")
    sys.stdout.flush()
    atheris.Fuzz()


def _seeds(made: dict[str, Target], names: list[str]) -> Iterator[tuple[int, bytes]]:
    for index, name in enumerate(names):
        for found in made[name].seeds:
            yield index, found


if __name__ == "__main__":
    main()
