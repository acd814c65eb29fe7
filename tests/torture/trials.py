"""Disturbs a command, runs it again, and compares what it has written with an undisturbed run."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cases
import children
import models
from cases import Case
from children import Disturb, Ended

WAYS = ("at a random moment", "before the n-th change of a file", "in the middle of a write")
MOST_IN_A_ROW = 5


@dataclass
class Tally:
    """What was tried, and what became of it.

    Attributes:
        what: in words.
        tried: how often.
        kills: how many processes were killed on the way.
        refused: how often a command said why it could not go on.
        asked_again: replies of a model that were asked for more than once.
        left_behind: unfinished files that are still there when the command has come through.
        lost: what went wrong, in words.
    """

    what: str
    tried: int = 0
    kills: int = 0
    refused: int = 0
    asked_again: int = 0
    left_behind: int = 0
    lost: list[str] = field(default_factory=list)
    kills_of_last: int = field(default=0, repr=False)

    def to_json(self) -> dict[str, object]:
        """Return it as an object."""
        return {name: value for name, value in vars(self).items() if name != "kills_of_last"}


@dataclass(frozen=True)
class Undisturbed:
    """How a command runs when nobody disturbs it.

    Attributes:
        before: the folder that it starts from.
        after: the folder when it has ended.
        operations: how often it changes a file.
        seconds: how long it takes.
    """

    before: Path
    after: Path
    operations: int
    seconds: float

    @cached_property
    def results(self) -> dict[str, object]:
        """What it has written."""
        return cases.results_in(self.after)

    @cached_property
    def largest(self) -> int:
        """The size of the largest file that it has written or made longer, in bytes."""
        files = [path for path in self.after.rglob("*") if path.is_file()]
        new = [path for path in files if not self._was_there(path)]
        return max(path.stat().st_size for path in new or files)

    def _was_there(self, path: Path) -> bool:
        before = self.before / path.relative_to(self.after)
        return path.suffix == ".lock" or (
            before.is_file() and before.read_bytes() == path.read_bytes()
        )


class Ground:
    """A folder for trials, and the undisturbed run of each command.

    Args:
        folder: where all happens.
        seed: of all that is drawn.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.draw = folder, random.Random(seed)
        self._known: dict[str, Undisturbed] = {}

    def before(self, case: Case) -> Path:
        """Return the folder that a command starts from."""
        before = self.folder / f"{case.name.replace(' ', '_')}.before"
        if not before.exists() and case.needs:
            (need,) = case.needs
            shutil.copytree(self.undisturbed(cases.BY_NAME[need]).after, before)
            (before / models.CALLS).unlink(missing_ok=True)
        elif not before.exists():
            cases.write_inputs(before)
        return before

    def undisturbed(self, case: Case) -> Undisturbed:
        """Return the undisturbed run of a command; the first call makes it."""
        if case.name not in self._known:
            before = self.before(case)
            after = before.with_suffix(".after")
            shutil.copytree(before, after)
            count = self.folder / "operations"
            ended = children.run(case.work, after, children.count_operations(count))
            assert ended.code == 0, f"{case.name} does not work: {ended.said}"
            self._known[case.name] = Undisturbed(
                before, after, int(count.read_text()), ended.seconds
            )
        return self._known[case.name]

    @contextmanager
    def fresh(self, case: Case) -> Iterator[Path]:
        """Yield a folder as it is before a command; it is removed."""
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            folder = Path(scratch) / "run"
            shutil.copytree(self.before(case), folder)
            yield folder

    def check(self, case: Case, folder: Path, tally: Tally, story: str) -> None:
        """Run the same command again; note what its results lack."""
        ended = children.run(case.work, folder)
        whole = self.undisturbed(case)
        done = case.done_before and case.done_before in ended.said and not ended.broke
        if ended.code and not done:
            tally.lost.append(f"{story}: the same command ends with {ended.code}: "
                              f"{ended.last_words}")  # fmt: skip
            return
        found = cases.results_in(folder)
        wrong = sorted(n for n in {*found, *whole.results} if found.get(n) != whole.results.get(n))
        if wrong:
            tally.lost.append(f"{story}: other than undisturbed: {', '.join(wrong[:3])}")
        tally.left_behind += len(cases.left_over(folder))
        if case.in_flight:
            self._count_calls(case, folder, tally, story)

    def _count_calls(self, case: Case, folder: Path, tally: Tally, story: str) -> None:
        paid = len(models.calls_in(folder))
        needed = len(models.calls_in(self.undisturbed(case).after))
        tally.asked_again += paid - needed
        most = tally.kills_of_last * case.in_flight
        if paid - needed > most:
            tally.lost.append(f"{story}: {paid - needed} replies asked for again, of {needed}; "
                              f"{most} may have been in flight")  # fmt: skip

    # Kills.

    def kill(self, case: Case, tally: Tally, kills: int) -> None:
        """Kill a command so many times in all, up to five in a row, at points of three kinds."""
        target = tally.kills + kills
        while tally.kills < target:
            in_a_row = self.draw.randint(1, min(MOST_IN_A_ROW, target - tally.kills))
            with self.fresh(case) as folder:
                points, before = [], tally.kills
                for _ in range(in_a_row):
                    point, ended = self._kill_once(case, folder, WAYS[tally.tried % len(WAYS)])
                    tally.tried += 1
                    tally.kills += ended.killed
                    points.append(point)
                    if not ended.killed:  # it was faster, or had less to do than the first time
                        break
                tally.kills_of_last = tally.kills - before
                self.check(case, folder, tally, f"{case.name}, killed {'; '.join(points)}")

    def _kill_once(self, case: Case, folder: Path, way: str) -> tuple[str, Ended]:
        whole = self.undisturbed(case)
        if way == WAYS[0]:
            seconds = self.draw.uniform(0, whole.seconds)
            child = children.Child(case.work, folder)
            return f"after {seconds:.3f} s", child.end(kill_after_seconds=seconds)
        if way == WAYS[1]:
            number = self.draw.randint(1, whole.operations)
            ended = children.run(case.work, folder, children.kill_at_operation(number))
            return f"before change {number}", ended
        byte = self.draw.randrange(whole.largest)
        return f"at byte {byte}", children.run(case.work, folder, children.kill_in_write(byte))

    # Disks, clocks, two at once.

    def fill(self, case: Case, tally: Tally, times: int) -> None:
        """Let writes fail from a drawn size of file on; then there is room again."""
        for _ in range(times):
            byte = self.draw.randrange(self.undisturbed(case).largest)
            with self.fresh(case) as folder:
                story = f"{case.name}, no file above {byte} bytes"
                ended = children.run(case.work, folder, children.small_files(byte))
                self._note_refusal(ended, tally, story)
                self.check(case, folder, tally, story)

    def fill_disk(self, case: Case, tally: Tally, times: int, disk: Path) -> None:
        """Run a command on a file system with a drawn amount of room; then there is more."""
        whole = self.undisturbed(case)
        for number in range(times):
            folder, ballast = disk / f"run{number}", disk / "ballast"
            shutil.copytree(whole.before, folder)
            room = self.draw.randrange(8, max(16, whole.largest // 1024 + 8)) * 1024
            _fill(ballast, shutil.disk_usage(disk).free - room)
            story = f"{case.name}, {room // 1024} KiB of room"
            ended = children.run(case.work, folder)
            ballast.unlink()
            self._note_refusal(ended, tally, story)
            self.check(case, folder, tally, story)
            shutil.rmtree(folder)

    def jump(self, case: Case, tally: Tally, times: int) -> None:
        """Let the clocks jump."""
        for _ in range(times):
            seed = self.draw.randrange(1 << 30)
            with self.fresh(case) as folder:
                story = f"{case.name}, clocks {seed}"
                ended = children.run(case.work, folder, children.jumping_clocks(seed))
                tally.tried += 1
                tally.kills_of_last = 0
                if ended.code:
                    tally.lost.append(f"{story}: {ended.last_words}")
                self.check(case, folder, tally, story)

    def race(self, case: Case, tally: Tally, times: int) -> None:
        """Start a command twice at once on one folder."""
        whole = self.undisturbed(case)
        for _ in range(times):
            later = self.draw.uniform(0, whole.seconds) * self.draw.choice((0, 0.3, 1))
            with self.fresh(case) as folder:
                story = f"{case.name}, twice, {later:.3f} s apart"
                first = children.Child(case.work, folder)
                second = children.Child(case.work, folder, _wait(later))
                ends = [first.end(), second.end()]
                for ended in ends:
                    self._note_refusal(ended, tally, story)
                if all(ended.code for ended in ends):
                    tally.lost.append(f"{story}: neither came through: {ends[0].last_words}")
                tally.tried -= 1
                # One that was refused and one that had begun may both have asked.
                tally.kills_of_last = 1
                self.check(case, folder, tally, story)

    def _note_refusal(self, ended: Ended, tally: Tally, story: str) -> None:
        tally.tried += 1
        tally.kills_of_last = 1  # what could not be written is asked for again
        tally.refused += bool(ended.code)
        if ended.broke:
            tally.lost.append(f"{story}: it breaks: {ended.last_words}")


def _wait(seconds: float) -> Disturb:
    import time

    return lambda: time.sleep(seconds)


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.write(bytes(max(0, size)))


@contextmanager
def small_disk(folder: Path, *, mebibytes: int = 8) -> Iterator[Path | None]:
    """Yield a file system of its own in memory; None where that is not allowed."""
    disk = folder / "disk"
    disk.mkdir()
    mount: Sequence[str] = ("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs")
    try:
        made = subprocess.run([*mount, disk], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        made = False
    try:
        yield disk if made else None
    finally:
        if made:
            subprocess.run(["umount", disk], check=True)
