/** All about a device's power: where it is read, what stands in for a sensor, calibration, readings by hand. */
import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { devicesQuery } from "@/api/queries";
import type { Device } from "@/api/types";
import { Dialog } from "@/app/Dialog";
import { Source } from "@/devices/CheckDetails";
import { STALE_AFTER_MS, useLive, useNow } from "@/live/store";
import { Calibration } from "./Calibration";
import { CalibrationChart } from "./CalibrationChart";
import { PowerTable } from "./PowerFigure";
import { Readings } from "./Readings";
import { SettingsForm } from "./SettingsForm";
import { describeNoFigure } from "./words";

export function PowerDialog({ name, close }: { name: string; close: () => void }) {
  const device = useQuery(devicesQuery).data?.find((one) => one.name === name);
  return (
    <Dialog onClose={close} title={`Power of ${name}`} size={720}>
      {device && (
        <Tabs defaultValue="sources" keepMounted={false}>
          <Tabs.List mb="md">
            <Tabs.Tab value="sources">Sources</Tabs.Tab>
            <Tabs.Tab value="settings" data-testid="power-settings">
              Plug, shunt, watts
            </Tabs.Tab>
            <Tabs.Tab value="calibrate" data-testid="power-calibrate">
              Calibrate
            </Tabs.Tab>
            <Tabs.Tab value="readings" data-testid="power-readings">
              Meter readings
            </Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="sources">
            <Sources device={device} />
          </Tabs.Panel>
          <Tabs.Panel value="settings">
            <SettingsForm device={device} />
          </Tabs.Panel>
          <Tabs.Panel value="calibrate">
            <Calibration device={device} />
          </Tabs.Panel>
          <Tabs.Panel value="readings">
            <Readings name={name} />
          </Tabs.Panel>
        </Tabs>
      )}
    </Dialog>
  );
}

function Sources({ device }: { device: Device }) {
  const latest = useLive((state) => state.latest[device.name]);
  const now = useNow();
  const live = latest && now - latest.receivedAt <= STALE_AFTER_MS ? latest.live : null;
  const found = device.check?.power_sources ?? [];
  const { meter, model } = device.power;
  const standsIn = meter !== null || model !== null;
  return (
    <div className="device-form" data-testid="power-sources">
      {(live !== null || standsIn || found.some(({ usable }) => usable)) && <PowerTable power={live?.power ?? null} other={live?.other_power ?? []} none={describeNoFigure(found, device.power)} />}
      <section>
        <h3 className="small-head">Sensors found by the last check</h3>
        {found.length === 0 && <p className="none">None that can be read.{standsIn ? "" : " A plug, declared watts or a calibration can stand in."}</p>}
        <ul className="found">
          {found.map((source) => (
            <Source key={`${source.source} ${source.scope} ${source.detail}`} source={source} />
          ))}
        </ul>
      </section>
      {meter && (
        <section>
          <h3 className="small-head">Plug</h3>
          <p>
            {meter.kind} at {meter.host}
            {meter.port === 80 ? "" : `, port ${meter.port}`}: the whole device, at the wall
          </p>
        </section>
      )}
      {model && (
        <section>
          <h3 className="small-head">{model.source === "declared" ? "Declared watts" : "Calibrated model"}</h3>
          <CalibrationChart model={model} />
        </section>
      )}
    </div>
  );
}
