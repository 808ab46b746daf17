/** What the bars of the cards show. A menu and not a Select, whose parts the first view would be the only one to need. */
import { Button, Menu } from "@mantine/core";
import { IconChevronDown } from "@tabler/icons-react";
import { MeasureItems } from "./parts";
import { MEASURE_LABELS, useView } from "./view";

export function MeasureMenu({ hasProfile }: { hasProfile: boolean }) {
  const measure = useView((view) => view.measure);
  return (
    <Menu position="top-start" width={290} withinPortal>
      <Menu.Target>
        <Button size="xs" variant="default" w={156} px={10} justify="space-between" rightSection={<IconChevronDown size={14} />} aria-label={`Bars show: ${MEASURE_LABELS[measure]}`} title="What the bars show" data-testid="measure">
          {MEASURE_LABELS[measure]}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <MeasureItems hasProfile={hasProfile} />
      </Menu.Dropdown>
    </Menu>
  );
}
