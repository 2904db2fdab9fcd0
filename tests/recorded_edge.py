"""An edge agent in virtual time that is recorded, with its devices and a broker that may go."""

from __future__ import annotations

from pathlib import Path

from edge.agent import build_edge
from edge.config import ScannerConfig
from runtime.metrics import Metrics
from runtime.ports import PortLostError
from runtime.virtual import VirtualRuntime
from stockhelm.sim_record import ProcessRecording
from tests.edge_world import Central, MqttScanner, SerialDevice, edge_config
from wire.messages import Movement, RecordMove

LINE = "/dev/scanner-1"


class RecordedEdge:
    """Edge A with a serial scanner and one over MQTT; every life of it is recorded."""

    def __init__(self, directory: Path, records: Path) -> None:
        self.base = VirtualRuntime()
        self.records = records
        self.config = edge_config(
            directory,
            ScannerConfig(device_id="mqtt-1", person_id="P1"),
            ScannerConfig(device_id="serial-1", person_id="P2", path=LINE),
        )
        self.central = Central(self.base)
        self.scanner = MqttScanner(self.base)
        self.line: SerialDevice | None = SerialDevice(self.base, LINE)
        self._commands = 0
        self.start()

    def start(self) -> None:
        self.runtime = VirtualRuntime(shared=self.base)
        self.recording = ProcessRecording(self.records, self.config, self.runtime.clock)
        self.agent = build_edge(self.recording.runtime(self.runtime), Metrics(), self.config)
        self.agent.start()
        self.run()

    def run(self, seconds: float = 0.5) -> None:
        self.base.run_for(seconds)

    def kill(self) -> None:
        """End it as kill -9 does; its database stays as the last commit left it."""
        self.runtime.kill()
        self.recording.abandon()
        self.agent.store.close()

    def end(self) -> None:
        """End it well, with counts at the end of the recording."""
        self.recording.stopping()
        self.agent.stop()
        self.run()
        self.runtime.kill()
        self.agent.store.close()
        self.recording.finish()

    def send(self, data: bytes) -> None:
        """Let the serial scanner say something, whether somebody hears it or not."""
        if self.line is not None:
            try:
                self.line.send(data)
            except PortLostError:
                return

    def unplug(self) -> None:
        if self.line is not None:
            self.line.port.close()
            self.line = None

    def plug(self) -> None:
        self.unplug()
        self.line = SerialDevice(self.base, LINE)

    def record_move(self, units: int, *, expires_in_s: float) -> None:
        """Let central tell the edge of a movement that nobody scanned."""
        self._commands += 1
        now_ns = self.base.clock.now_ns()
        movement = Movement(
            event_id=f"told/{self._commands}", gtin="04006381333931", units=units,
            from_place="bin:A-01", to_place="robot:agv-1", reason="pick", device_id="central",
            observed_at_ns=now_ns, received_at_ns=now_ns,
        )  # fmt: skip
        self.central.command(
            RecordMove(
                command_id=f"C{self._commands}", movement=movement,
                expires_at_ns=now_ns + round(expires_in_s * 1e9),
            )
        )  # fmt: skip
