/** The measures that bars can show, to choose from. */
import { Menu } from "@mantine/core";
import { needsProfile } from "./measure";
import { MEASURE_LABELS, MEASURES, useView, viewStore } from "./view";

export function MeasureItems({ hasProfile }: { hasProfile: boolean }) {
  const measure = useView((view) => view.measure);
  return (
    <>
      <Menu.Label>Bars show</Menu.Label>
      <Menu.RadioGroup value={measure} onChange={(value) => viewStore.setState({ measure: MEASURES.find((known) => known === value) ?? measure })}>
        {MEASURES.map((value) => {
          const missing = needsProfile(value) && !hasProfile;
          return (
            <Menu.RadioItem key={value} value={value} disabled={missing} closeMenuOnClick>
              {MEASURE_LABELS[value]}
              {missing && " (profile a device first)"}
            </Menu.RadioItem>
          );
        })}
      </Menu.RadioGroup>
    </>
  );
}
