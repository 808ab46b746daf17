/** Over the table: how much of the network it shows, by what it is grouped, and which columns it has. */
import { Button, Checkbox, Menu, Switch } from "@mantine/core";
import { IconColumns3, IconCopy } from "@tabler/icons-react";
import { memo, useMemo } from "react";
import { copyText } from "@/app/copyText";
import { formatWhole, plural } from "@/app/format";
import { ask } from "@/editor/find";
import { flash, useView } from "@/editor/view";
import { chooseColumns } from "./columnChoice";
import { COLUMN_IDS, COLUMNS, toTsv, type ColumnId } from "./columns";
import type { LayerRow } from "./rows";

interface TableToolsProps {
  rows: readonly LayerRow[];
  /** As they stand, after search and sorting. */
  shown: readonly LayerRow[];
  columns: readonly ColumnId[];
  grouped: boolean;
  setGrouped: (grouped: boolean) => void;
  hasGroups: boolean;
  searched: boolean;
}

function Tools({ rows, shown, columns, grouped, setGrouped, hasGroups, searched }: TableToolsProps) {
  const chosen = useView((view) => view.selection);
  const copied = useMemo(() => (chosen.size > 0 ? shown.filter(({ node }) => chosen.has(node)) : shown), [chosen, shown]);
  const copy = () => void copyText(toTsv(copied, columns)).then((done) => flash("", done ? `${plural(copied.length, "row")} copied` : "The browser does not let the page copy"));
  const toggle = (id: ColumnId) => chooseColumns(COLUMN_IDS.filter((other) => (other === id ? !columns.includes(id) : columns.includes(other))));
  return (
    <div className="table-tools" role="toolbar" aria-label="Table">
      <span className="table-count" role="status" data-testid="table-count">
        {searched ? `${formatWhole(shown.length)} of ${plural(rows.length, "layer")}` : plural(rows.length, "layer")}
        {chosen.size > 0 && `, ${formatWhole(chosen.size)} selected`}
      </span>
      {searched && (
        <button type="button" className="link" onClick={() => ask("")}>
          Show all
        </button>
      )}
      <span className="table-space" />
      {hasGroups && <Switch size="xs" label="By block" checked={grouped} onChange={(event) => setGrouped(event.currentTarget.checked)} data-testid="table-grouped" />}
      <Button size="compact-xs" variant="subtle" color="gray" leftSection={<IconCopy size={13} />} onClick={copy} data-testid="table-copy" title="As text for a spreadsheet, in the order shown">
        Copy {chosen.size > 0 ? plural(copied.length, "row") : "all"}
      </Button>
      <Menu position="bottom-end" withinPortal closeOnItemClick={false}>
        <Menu.Target>
          <Button size="compact-xs" variant="subtle" color="gray" leftSection={<IconColumns3 size={13} />} data-testid="table-columns">
            Columns
          </Button>
        </Menu.Target>
        <Menu.Dropdown className="table-columns">
          {COLUMN_IDS.map((id) => (
            <Menu.Item key={id} role="menuitemcheckbox" aria-checked={columns.includes(id)} disabled={id === "name"} onClick={() => toggle(id)} leftSection={<Checkbox.Indicator size="xs" checked={columns.includes(id)} disabled={id === "name"} />} data-testid={`column-${id}`}>
              {COLUMNS[id].told ?? COLUMNS[id].title}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item onClick={() => chooseColumns(null)}>Those that say something</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </div>
  );
}

/** Not drawn anew while one scrolls. */
export const TableTools = memo(Tools);
