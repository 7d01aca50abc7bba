"""Training on what there is: two one-thread ranks on a CPU, or one rank on a GPU.

Two OpenMP threads in one process wait for each other at every small kernel; two ranks of one thread
meet once a step. The network computes in bfloat16; float32 masters, their moving average and AdamW
stand beside it.
"""

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

State = dict[str, torch.Tensor]


def find_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def count_ranks() -> int:
    """Count the processes that train: one on a GPU, else SDLAB_RANKS, or the cores up to two."""
    return (
        1
        if find_device().type == "cuda"
        else int(os.environ.get("SDLAB_RANKS") or min(2, os.cpu_count() or 1))
    )


def _run_rank(rank: int, work: Callable, rendezvous: str, size: int, arguments: tuple) -> None:
    if find_device().type == "cpu":
        torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=size)
    try:
        work(rank, *arguments)
    finally:
        dist.destroy_process_group()


def launch(work: Callable, *arguments) -> None:
    """Run ``work(rank, *arguments)`` in `ranks()` processes and wait for them."""
    with tempfile.TemporaryDirectory() as folder:
        rendezvous, size = f"file://{folder}/rendezvous", count_ranks()
        if size == 1:
            return _run_rank(0, work, rendezvous, size, arguments)
        os.environ["OMP_NUM_THREADS"] = "1"
        mp.spawn(_run_rank, (work, rendezvous, size, arguments), nprocs=size)


class Clock:
    """A learning rate by training time: warm-up in steps, a constant part, a cosine to `floor`.

    `spent` is the time of earlier runs in seconds, so a resumed run goes on where the schedule was.
    """

    def __init__(
        self,
        minutes: float,
        *,
        rate: float,
        warmup: int,
        constant: float,
        floor: float,
        spent: float = 0.0,
    ):
        self.minutes, self.rate, self.warmup, self.constant, self.floor = (
            minutes,
            rate,
            warmup,
            constant,
            floor,
        )
        dist.barrier()
        self.start = time.monotonic() - spent

    def elapsed(self) -> float:
        """Seconds of training, those of earlier runs included."""
        return time.monotonic() - self.start

    def progress(self) -> float:
        """Tell which part of the time is over, 0..1, the mean of the ranks: all stop together."""
        part = torch.tensor([self.elapsed() / (60 * self.minutes)])
        dist.all_reduce(part)
        return part.item() / dist.get_world_size()

    def rate_at(self, progress: float, step: int) -> float:
        decay = 1.0
        if progress >= self.constant:
            turn = (progress - self.constant) / (1 - self.constant)
            decay = self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * turn))
        return self.rate * min(1, (step + 1) / self.warmup) * decay


class Replica:
    """One rank's bfloat16 network, its float32 masters, their moving average, and AdamW on them.

    `exempt` is a word in the names of the parameters that are trained without weight decay.
    """

    def __init__(
        self,
        net: torch.nn.Module,
        *,
        betas: tuple[float, float],
        weight_decay: float,
        ema: float,
        exempt: str = "\0",
    ):
        self.net, self.ema_decay, self.steps = net, ema, 0
        self.master = {
            n: p.detach().clone().float().requires_grad_(True)
            for n, p in net.named_parameters()
            if p.requires_grad
        }
        self.ema = {n: m.detach().clone() for n, m in self.master.items()}
        net.to(torch.bfloat16)
        self.live = {n: p for n, p in net.named_parameters() if n in self.master}
        groups = [
            dict(
                params=[m for n, m in self.master.items() if (exempt in n) is free],
                weight_decay=0 if free else weight_decay,
            )
            for free in (False, True)
        ]
        self.optimizer = torch.optim.AdamW(
            [g for g in groups if g["params"]], betas=betas, foreach=True
        )

    @torch.no_grad()
    def use(self, weights: State) -> None:
        """Copy `self.master` or `self.ema` into the network."""
        for name, parameter in self.live.items():
            parameter.copy_(weights[name])

    def gather_gradients(self) -> None:
        """Give the masters the mean gradient of all ranks."""
        parts = [
            torch.zeros_like(self.master[n]) if p.grad is None else p.grad.float()
            for n, p in self.live.items()
        ]
        flat = torch.cat([part.flatten() for part in parts])
        if dist.get_world_size() > 1:
            dist.all_reduce(flat)
            flat /= dist.get_world_size()
        for master, gradient in zip(
            self.master.values(), flat.split([m.numel() for m in self.master.values()])
        ):
            master.grad = gradient.view_as(master)

    def update(self, loss: torch.Tensor, rate: float) -> None:
        """One step down the loss, the same on all ranks."""
        loss.backward()
        self.gather_gradients()
        torch.nn.utils.clip_grad_norm_(list(self.master.values()), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.steps += 1
        decay = min(
            self.ema_decay, (self.steps + 1) / (self.steps + 30)
        )  # a young average forgets its start quickly
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.values()), list(self.master.values()), 1 - decay)
        self.use(self.master)
        for parameter in self.live.values():
            parameter.grad = None

    def save(self, path: Path, **facts: float) -> None:
        """Write a checkpoint beside the target and move it, so that a stop leaves the old one."""
        partial = path.with_suffix(".partial")
        state = dict(
            master=self.master,
            ema=self.ema,
            optimizer=self.optimizer.state_dict(),
            steps=self.steps,
        )
        torch.save(dict(**state, **facts), partial)
        partial.replace(path)

    @torch.no_grad()
    def load(self, path: Path) -> dict:
        """Go on from a checkpoint; returns its facts, such as the seconds spent."""
        saved = torch.load(path, map_location=find_device(), weights_only=True)
        for name, master in self.master.items():
            master.copy_(saved["master"][name])
            self.ema[name].copy_(saved["ema"][name])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.steps = saved["steps"]
        self.use(self.master)
        return saved


def average(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
