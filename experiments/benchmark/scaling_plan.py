"""Past this machine: ShanghaiTech Campus in shards on SLURM, reckoned from what was measured."""

from collections.abc import Mapping
from typing import NamedTuple

from experiments.benchmark.scaling_point import Figures

FRAMES, SHARDS = 275_000, 16
BATCH, SAVE_EVERY = 32, 50  # images; batches from one saving of the unfinished fit to the next

TEXT = """\
## A campus in 16 shards

The {frames} training frames of ShanghaiTech Campus (856 x 480 pixels, fitted at 256 x 256), in S = {shards} jobs of
n = {each} frames each: [CLUSTER.md](../CLUSTER.md) has the commands, `dataset.train_frames={frames}` takes all frames.
Everything below is reckoned for jobs of as many threads as this machine gives, by formulas whose numbers were measured
by the run that wrote this page, so that your own can take their place. Nothing of it was run at this size but the
merge: {merges} checkpoints whose ledgers hold {ledger} images each were merged.

| symbol | measured | {names} |
| --- | --- | {dashes} |
{inputs}

| step | formula | {names} |
| --- | --- | {dashes} |
{steps}

1. **Extraction** is the serial part: one process decodes all videos before the first shard starts, so that no two write
   the same frame. It needs the disk that all nodes see for v N.
2. **Shards** need no network between them and no common start: each reads every S-th frame and writes one checkpoint.
   More shards divide the time until start and factorisation are what is left; the memory of a job stays. A job that is
   killed loses at most {save_every} batches; for that it rewrites its statistics. Ask SLURM for one GB more than
   the memory.
3. **Merging** adds one state at a time to the first, then factorises once. Its time and its reading grow with S, its
   memory does not: two models.
"""


class Campus(NamedTuple):
    """What was measured of one model.

    Attributes:
        fit: of 256-pixel images, see :func:`experiments.benchmark.scaling_point.fit_figures`.
        video: extraction and loading of frames.
        start: seconds from the start of ``padim-train`` to its first batch.
        merges: by the number of shards.
        ledger: images in the ledger of each of these shards.
    """

    fit: Figures
    video: Figures
    start: float
    merges: Mapping[int, Figures]
    ledger: int

    def inputs(self) -> dict[tuple[str, str], str]:
        """Symbol and meaning -> figure."""
        fit, video, (few, many) = self.fit, self.video, (self.merges[shards] for shards in sorted(self.merges))
        return {
            ("s", "start of a job, to its first batch"): f"{self.start:.1f} s",
            ("x", "extraction of a frame: decoding, JPEG"): f"{video['extraction']:.1f} ms",
            ("v", "size of a frame on disk (generated, noisy frames)"): f"{video['kilobytes']:.0f} kB",
            ("l", "loading a frame: JPEG, resizing, hash"): f"{video['loading']:.1f} ms",
            ("b", "backbone"): f"{fit['backbone']:.1f} ms",
            ("u", "update"): f"{fit['update']:.1f} ms",
            ("F", "factorisation"): f"{fit['factorisation']:.2f} s",
            ("M0", "memory of a fit beside statistics and whitening"): f"{self.rest:.2f} GB",
            ("m", "statistics"): f"{fit['statistics']:.3f} GB",
            ("w", "whitening"): f"{fit['whitening']:.3f} GB",
            ("e", "an image in the ledger of a checkpoint"): f"{1e9 * few['entry']:.0f} bytes",
            ("a", "one more shard in a merge"): f"{self.per_shard:.2f} s",
            ("A", "a merge but for that"): f"{self.merge_rest:.2f} s",
            ("P", f"memory of the merge of {max(self.merges)} shards"): f"{many['merge peak']:.2f} GB",
        }

    @property
    def rest(self) -> float:
        return self.fit["peak"] - self.fit["statistics"] - self.fit["whitening"]

    @property
    def per_shard(self) -> float:
        few, many = sorted(self.merges)
        return max(0.0, (self.merges[many]["merge"] - self.merges[few]["merge"]) / (many - few))

    @property
    def merge_rest(self) -> float:
        return max(0.0, self.merges[max(self.merges)]["merge"] - max(self.merges) * self.per_shard)

    def steps(self) -> dict[tuple[str, str], str]:
        """Step and formula -> figure."""
        each, fit = FRAMES / SHARDS, self.fit
        of_image = self.video["loading"] + fit["backbone"] + fit["update"]
        constant = self.start + fit["factorisation"]
        shard = constant + each * of_image / 1000
        saved = each // (BATCH * SAVE_EVERY) * fit["statistics"]
        checkpoint = fit["statistics"] + fit["whitening"] + fit["network"] + each * self.entry
        merge = self.merge_rest + SHARDS * self.per_shard
        extraction = FRAMES * self.video["extraction"] / 1000
        frames = FRAMES * self.video["kilobytes"] / 1e6
        merged = checkpoint + (FRAMES - each) * self.entry
        return {
            ("extraction, time", "N x"): minutes(extraction),
            ("extraction, disk", "N v"): f"{frames:.0f} GB",
            ("a shard, time", "s + n (l + b + u) + F"): minutes(shard),
            ("a shard, memory", "M0 + m + w"): f"{fit['peak']:.2f} GB",
            ("a shard, read over the network", "n v"): f"{frames / SHARDS:.1f} GB",
            ("a shard, written", "C + m floor(n / 1600); C = m + w + network + n e"): f"{checkpoint + saved:.2f} GB",
            ("all checkpoints, disk", "S C"): f"{SHARDS * checkpoint:.2f} GB",
            ("merge, time", "A + S a"): minutes(merge),
            ("merge, memory", "P; of each further shard, its ledger alone"): f"{self.merge_peak:.2f} GB",
            ("merge, read and written", "S C + C + (N - n) e"): f"{SHARDS * checkpoint + merged:.2f} GB",
            (
                "traffic in all",
                "N v (written, then read) + the above",
            ): f"{self.traffic(frames, checkpoint, saved):.0f} GB",
            ("all, S jobs at once", "N x + s + n (l + b + u) + F + A + S a"): minutes(extraction + shard + merge),
            ("fit alone in one job instead", "s + N (l + b + u) + F"): minutes(constant + FRAMES * of_image / 1000),
        }

    @property
    def entry(self) -> float:
        """GB of an image in a ledger."""
        return min(merge["entry"] for merge in self.merges.values())

    @property
    def merge_peak(self) -> float:
        return max(merge["merge peak"] for merge in self.merges.values())

    def traffic(self, frames: float, checkpoint: float, saved: float) -> float:
        return 2 * frames + SHARDS * (2 * checkpoint + saved) + checkpoint + FRAMES * self.entry


def minutes(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def plan(campus: Mapping[str, Campus]) -> str:
    """The section, a column a model."""
    if not campus:
        return ""
    models = list(campus.values())
    return TEXT.format(
        frames=FRAMES,
        shards=SHARDS,
        each=FRAMES // SHARDS,
        merges=" and ".join(str(max(model.merges)) for model in models),
        ledger=models[0].ledger,
        names=" | ".join(campus),
        dashes=" | ".join("---" for _ in campus),
        inputs=_rows([model.inputs() for model in models]),
        steps=_rows([model.steps() for model in models]),
        save_every=SAVE_EVERY,
    )


def _rows(columns: list[dict[tuple[str, str], str]]) -> str:
    """A line for each of the first column's keys."""
    by_name = [{name: (text, figure) for (name, text), figure in column.items()} for column in columns]
    return "\n".join(
        f"| {name} | {text} | {' | '.join(column[name][1] for column in by_name)} |"
        for name, (text, _) in by_name[0].items()
    )
