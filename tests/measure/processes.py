"""Several gloo processes for one test."""

import queue as queues
import tempfile

import torch
from torch import distributed


def _start(target, rank, world, path, queue):
    distributed.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=world)
    try:
        target(rank, world, queue)
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def run_processes(target, world, *, seconds=60):
    """What `target(rank, world, queue)` put, one item a process, sorted; joined by gloo through a file."""
    context = torch.multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        queue = context.Queue()
        started = [
            context.Process(target=_start, args=(target, rank, world, f"{folder}/store", queue))
            for rank in range(world)
        ]
        for process in started:
            process.start()
        try:
            results = [queue.get(timeout=seconds) for _ in started]
        except queues.Empty:
            raise AssertionError(f"exit codes {[process.exitcode for process in started]}") from None
        finally:
            for process in started:
                process.join(timeout=10)
                if process.is_alive():
                    process.kill()
    return sorted(results, key=lambda item: item[0])
