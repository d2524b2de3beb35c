"""The one place that knows Ray: connects, puts the snapshot there once, starts programs on nodes, takes their answers.

Only Ray's core is used: `init`, `nodes`, `put`, remote functions bound to a node, `wait` and `get`. Retries are ours,
as Ray's own do not promise another node.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verifier.errors import MachineError, UsageError
from verifier.executors.placing import Node
from verifier.executors.work import do
from verifier.model.stage import Resources

if TYPE_CHECKING:
    from types import ModuleType

    from verifier.executors.snapshot import Snapshot

REMEDY = "pip install 'verify-amp[ray]'"


@dataclass(frozen=True, slots=True)
class Lost:
    """The node, or the process on it, was gone before it had answered."""

    reason: str


class Cluster:
    """A cluster to which this process is connected, and the snapshot that lies there."""

    def __init__(self, ray: ModuleType, snapshot: Snapshot) -> None:
        self._ray = ray
        try:
            self._snapshot = ray.put(snapshot)
        except ray.exceptions.RayError as error:
            raise MachineError(f"the snapshot of the project cannot be brought to the Ray cluster: {error}") from error

    def nodes(self) -> list[Node]:
        """Return the nodes that are alive.

        Raises:
            MachineError: the cluster cannot be reached any more.
        """
        with self._reached():
            alive = [row for row in self._ray.nodes() if row["Alive"]]
        return [_node(row) for row in alive]

    def start(self, node: Node, need: Resources, program: Sequence[str], request: str) -> Any:
        """Have a node do what is asked by running a program in the unpacked project; return what to wait for."""
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)
        with self._reached():
            remote = self._ray.remote(do).options(
                num_cpus=need.cpus,
                num_gpus=need.gpus,
                memory=need.memory_bytes,
                max_retries=0,
                scheduling_strategy=strategy,
            )
            return remote.remote(self._snapshot, tuple(program), request)

    def finished(self, waiting: Sequence[Any]) -> list[Any]:
        """Wait until at least one is done."""
        with self._reached():
            done, _ = self._ray.wait(list(waiting), num_returns=1)
        return list(done)

    def answer(self, handle: Any) -> str | Lost:
        """Return what a program has answered.

        Raises:
            VerifierError: it could not be run, for a reason that another node would not change.
        """
        exceptions = self._ray.exceptions
        try:
            answered: str = self._ray.get(handle)
        except exceptions.RayTaskError as error:
            return Lost(_first_line(error.cause or error))
        except exceptions.RayError as error:
            return Lost(_first_line(error))
        return answered

    def stop(self, waiting: Sequence[Any]) -> None:
        for handle in waiting:
            with contextlib.suppress(Exception):  # the cluster may be gone; nothing more can be done about it
                self._ray.cancel(handle, force=True)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except (self._ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
            raise MachineError(f"the Ray cluster cannot be reached any more: {_first_line(error)}") from error


@contextlib.contextmanager
def connected(executor: str, snapshot: Snapshot) -> Iterator[Cluster]:
    """Yield the cluster that `--executor` names: `ray` the one of RAY_ADDRESS or of this machine, else by address.

    Raises:
        UsageError: Ray is not installed, or there is no such cluster.
    """
    try:
        import ray  # noqa: PLC0415 - seconds, and an extra
        import ray.exceptions  # noqa: PLC0415
        import ray.util.scheduling_strategies  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(f"--executor {executor} needs Ray ({error}): {REMEDY}") from None
    address = "auto" if executor == "ray" else executor
    try:
        ray.init(address=os.environ.get("RAY_ADDRESS", address) if address == "auto" else address, **_INIT)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError, ImportError) as error:
        raise UsageError(
            f"--executor {executor}: no Ray cluster answers ({_first_line(error)}); start one with `ray start --head`, "
            "or name it as ray://HOST:10001"
        ) from None
    try:
        yield Cluster(ray, snapshot)
    finally:
        ray.shutdown()


_INIT: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}


def _node(row: dict[str, Any]) -> Node:
    has = row["Resources"]
    return Node(
        id=row["NodeID"],
        name=f"{row['NodeManagerHostname']} ({row['NodeID'][:8]})",
        has=Resources(cpus=has.get("CPU", 0), memory_bytes=int(has.get("memory", 0)), gpus=has.get("GPU", 0)),
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
