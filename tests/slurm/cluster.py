"""A real Slurm on this machine: munged, slurmctld, two slurmd, also slurmdbd with MariaDB."""

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

# the daemons; not every user's PATH has them
PATH = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin"))
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "slurmdbd", "mariadbd")
KEEPER = Path(__file__).with_name("keeper.py")
NODES = ("node1", "node2")
CPUS_PER_NODE = 8  # declared, whatever this machine has, so that several runs fit
GPUS_PER_NODE = 2

# Short intervals, so that tests take seconds. Names and defaults: slurm.conf(5).
SLURM_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job starts after cred_expire + 1 seconds, by default 121; Slurm takes at least 5.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
GresTypes=gpu
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
ReturnToService=2
KillWait=2
# Seconds for which squeue knows a job that ended: 300 is the default, 2 the least.
MinJobAge={min_job_age}
CompleteWait=0
OverTimeLimit=0
InactiveLimit=0
SlurmdTimeout=6
MessageTimeout=3
AccountingStorageType=accounting_storage/{storage}
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting_port}
AccountingStoragePass={folder}/munge.socket
NodeName=node[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{node_ports}] CPUs={cpus} \
RealMemory=4096 Gres=gpu:{gpus}
PartitionName=gpu Nodes=node[1-2] Default=YES PriorityTier=1 GraceTime=5
PartitionName=urgent Nodes=node[1-2] PriorityTier=2
"""

SLURMDBD_CONF = """
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounting_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
"""


def program(name: str) -> str | None:
    return shutil.which(name, path=PATH)


def obstacle() -> str | None:
    """Why no cluster can be started here, in one line; None where it can."""
    if missing := [name for name in PROGRAMS if program(name) is None]:
        return (
            f"Slurm is not installed here: no {', '.join(missing)} (Debian: slurm-wlm, slurmdbd, "
            "munge, mariadb-server-core)"
        )
    return None if os.geteuid() == 0 else "a Slurm cluster for tests has to be started by root"


def free_ports(count: int) -> list[int]:
    """`count` consecutive free ports, below those of outgoing connections (from 32768)."""
    while True:
        start = random.randrange(10_000, 32_000)
        try:
            for port in range(start, start + count):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port))
        except OSError:
            continue
        return list(range(start, start + count))


class Cluster:
    """Two nodes of eight CPUs and two GPUs, partitions `gpu` and `urgent`, which preempts it.

    A context manager. Its files and logs are in `self.folder`, new below `parent`. Each daemon runs
    under a keeper (keeper.py), so that nothing survives this process, however it ends. The GPUs are
    links to /dev/null: jobs only get their numbers.
    """

    def __init__(self, parent: Path, *, accounting: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir=parent))
        self.accounting = accounting
        self._keepers: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._down: set[str] = set()

    def __enter__(self) -> Self:
        self._write_configuration()
        try:
            self._start_munge()
            if self.accounting:
                self._start_accounting()
            self._start_controller()
            for node in NODES:
                self._start_node(node)
            self.wait_for(lambda: set(self.nodes().values()) == {"IDLE"}, 60)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill every daemon and everything that jobs still run."""
        for name in list(self._keepers)[::-1]:
            self._kill(name)

    def environment(self) -> dict[str, str]:
        """The environment of a user of this cluster, without a surrounding job's settings."""
        job = ("SLURM", "SBATCH", "SRUN")
        own = {key: value for key, value in os.environ.items() if not key.startswith(job)}
        return {**own, "PATH": PATH, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str, check: bool = True) -> str:
        """A Slurm command's output; CalledProcessError where it fails, unless `check` is off."""
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(command, env=self.environment(), check=check, **output)
        return done.stdout

    def states(self) -> dict[str, str]:
        """The state of every job by id, up to five minutes after its end; tasks are 7_0, 7_1."""
        options = ("--all", "--array", "--states=all", "--noheader", "--format=%i %T")
        return dict(line.split() for line in self.run("squeue", *options).splitlines())

    def nodes(self) -> dict[str, str]:
        """The state of every node by name; a star marks one that does not respond."""
        options = ("--Node", "--partition=gpu", "--noheader", "--format=%N %T")
        lines = self.run("sinfo", *options).upper().splitlines()
        return {name.lower(): state for name, state in map(str.split, lines)}

    def describe(self, job: str) -> dict[str, str]:
        """The fields of `scontrol show job`: JobState, Reason, Restarts, NodeList and so on."""
        fields = self.run("scontrol", "show", "job", job, "--oneliner").split()
        return dict(field.partition("=")[::2] for field in fields if "=" in field)

    def requeue(self, job: str) -> None:
        """Kill and requeue a job under its id; it starts six seconds after that (cred_expire)."""
        self.run("scontrol", "requeue", job)

    def cancel(self, *jobs: str) -> None:
        """Cancel jobs, or all of them."""
        self.run("scancel", *(jobs or ("--user=root",)))

    def kill_node(self, node: str) -> None:
        """Kill a node's slurmd and its steps, like a power cut."""
        self._down.add(node)
        self._kill(node)

    def restart_node(self, node: str) -> None:
        """Start the slurmd of a killed node and wait until the node can take jobs."""
        self._start_node(node)
        self._down.discard(node)
        self.wait_for(lambda: self.nodes()[node] in {"IDLE", "MIXED", "ALLOCATED"}, 60)

    def reset(self) -> None:
        """For the next test: no job, every node idle."""
        self.cancel()
        for node in sorted(self._down):
            self.restart_node(node)
        self.wait_for(lambda: set(self.nodes().values()) == {"IDLE"}, 60)

    def wait_for(self, condition: Callable[[], bool], timeout: float = 30) -> None:
        """Wait until a condition holds. Raises AssertionError with queue and logs if it is late."""
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not so after {timeout} s\n{self._situation()}")
            time.sleep(0.1)

    def _start(self, name: str, *command: str, **environment: str) -> None:
        path = program(command[0])
        assert path is not None, f"{command[0]} is missing"
        with (self.folder / f"{name}.out").open("ab") as out:
            keeper = subprocess.Popen(
                (sys.executable, str(KEEPER), path, *command[1:]),
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env=self.environment() | environment,
                start_new_session=True,  # Ctrl-C goes to the tests only, which close the cluster
            )
        self._keepers.setdefault(name, []).append(keeper)

    def _kill(self, name: str) -> None:
        for keeper in self._keepers.pop(name, []):
            assert keeper.stdin is not None
            keeper.stdin.close()
            keeper.wait()

    def _start_munge(self) -> None:
        own_socket, key = self.folder / "munge.socket", self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        kinds = ("key", "log", "pid", "seed")
        files = [f"--{kind}-file={self.folder / 'munge'}.{kind}" for kind in kinds]
        # By force: munge refuses a folder that is closed to other users.
        self._start("munge", "munged", "--foreground", "--force", f"--socket={own_socket}", *files)
        self.wait_for(own_socket.exists)

    def _start_accounting(self) -> None:
        data, own_socket = self.folder / "mariadb", self.folder / "mariadb.socket"
        data.mkdir()
        files = (f"--datadir={data}", f"--socket={own_socket}", f"--pid-file={data / 'pid'}")
        # No table of users and no port: whoever may open the socket, which is root, may do all.
        access = ("--skip-grant-tables", "--skip-networking", "--user=root")
        self._start("mariadb", "mariadbd", "--no-defaults", *files, *access)
        self.wait_for(own_socket.exists)
        self._start("slurmdbd", "slurmdbd", "-D", MYSQL_UNIX_PORT=str(own_socket))
        # the head of its table
        self.wait_for(lambda: "Cluster" in self.run("sacctmgr", "show", "cluster", check=False))
        self.run("sacctmgr", "--immediate", "add", "cluster", "test")

    def _start_controller(self) -> None:
        self._start("slurmctld", "slurmctld", "-D")
        self.wait_for(lambda: "is UP" in self.run("scontrol", "ping", check=False))

    def _start_node(self, node: str) -> None:
        self._start(node, "slurmd", "-D", "-N", node)

    def _write_configuration(self) -> None:
        controller, accounting, *nodes = free_ports(2 + len(NODES))
        values = {
            "folder": self.folder,
            "host": socket.gethostname().partition(".")[0],
            "controller_port": controller,
            "accounting_port": accounting,
            "node_ports": f"{nodes[0]}-{nodes[-1]}",
            "min_job_age": 2 if self.accounting else 300,
            "storage": "slurmdbd" if self.accounting else "none",
            "cpus": CPUS_PER_NODE,
            "gpus": GPUS_PER_NODE,
        }
        (self.folder / "slurm.conf").write_text(SLURM_CONF.format_map(values))
        (self.folder / "slurmdbd.conf").touch(0o600)  # slurmdbd refuses to read it otherwise
        (self.folder / "slurmdbd.conf").write_text(SLURMDBD_CONF.format_map(values))
        (self.folder / "gres.conf").write_text(
            f"NodeName=node[1-2] Name=gpu File={self.folder}/gpu[0-{GPUS_PER_NODE - 1}]\n"
        )
        # By name: Slurm's own search fails where no cgroups are mounted. Nothing here uses them.
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        for gpu in range(GPUS_PER_NODE):
            (self.folder / f"gpu{gpu}").symlink_to("/dev/null")

    def _situation(self) -> str:
        queue = self.run("squeue", "--all", "--states=all", check=False)
        nodes = self.run("sinfo", "--Node", check=False)
        logs = map(self._log, self._keepers)
        return "\n".join((queue, nodes, *(f"{log}:\n{tail(log)}" for log in sorted(logs))))

    def _log(self, name: str) -> Path:
        """The log of a daemon, or its output where it has no log."""
        log = self.folder / f"{name}.log"
        return log if log.exists() and log.stat().st_size else log.with_suffix(".out")


def tail(file: Path) -> str:
    """The last ten lines of a file."""
    return "".join(file.read_text(errors="replace").splitlines(keepends=True)[-10:])
