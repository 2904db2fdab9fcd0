// Vehicles of the package vda-5050-lib, started by tests with one argument: the settings of one, or a list, as JSON.
// Prints "ready" when all listen; ends on SIGTERM, or when its standard input is closed.
"use strict";

const { AgvController, VirtualAgvAdapter } = require("vda-5050-lib");

const controllers = [JSON.parse(process.argv[2])].flat().map(
  (settings) =>
    new AgvController(
      { manufacturer: settings.manufacturer, serialNumber: settings.serial },
      {
        interfaceName: settings.interface,
        transport: { brokerUrl: settings.broker },
        vdaVersion: "2.0.0",
      },
      { agvAdapterType: VirtualAgvAdapter },
      {
        initialPosition: {
          mapId: settings.map,
          x: settings.x,
          y: settings.y,
          theta: 0,
          lastNodeId: settings.node,
        },
        vehicleSpeed: settings.speed,
        tickRate: 20,
      },
    ),
);

async function stop() {
  await Promise.all(controllers.map((controller) => controller.stop()));
  process.exit(0);
}

Promise.all(controllers.map((controller) => controller.start())).then(
  () => console.log("ready"),
  (error) => {
    console.error(String(error));
    process.exit(1);
  },
);
process.on("SIGTERM", stop);
process.stdin.on("end", stop).resume();
