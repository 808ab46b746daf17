/** All that a check found, by group. */
import { IconCheck, IconX } from "@tabler/icons-react";
import type { DeviceCheck, PowerSource } from "@/api/types";
import { CopyBox } from "@/app/CopyBox";
import { METHOD_WORDS, SCOPE_WORDS } from "@/power/words";
import { checkGroups, providerWords } from "./checkGroups";

export function CheckDetails({ check }: { check: DeviceCheck }) {
  return (
    <div className="check-details" data-testid="check-details">
      {checkGroups(check).map(({ title, rows }) => (
        <section key={title}>
          <h3>{title}</h3>
          <dl>
            {rows.map(([term, value]) => (
              <div key={term}>
                <dt>{term}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <section>
        <h3>Python</h3>
        {check.pythons.length === 0 && <p className="none">None found</p>}
        <ul className="found">
          {check.pythons.map(({ path, version, usable, why }) => (
            <Found key={path} fine={usable} name={`${version}${path === check.python?.path ? ", the one used" : ""}`} detail={why === "" ? path : `${path}: ${why}`} />
          ))}
        </ul>
      </section>
      <section>
        <h3>Accelerators</h3>
        {check.accelerators.length === 0 && <p className="none">None found</p>}
        <ul className="found">
          {check.accelerators.map(({ kind, name, detail }) => (
            <Found key={`${kind} ${name}`} fine={null} name={`${name} (${kind})`} detail={detail} />
          ))}
        </ul>
      </section>
      <section>
        <h3>Execution providers</h3>
        {check.providers.length === 0 && <p className="none">None known</p>}
        <ul className="found">
          {check.providers.map(({ name, works, why }) => (
            <Found key={name} fine={works} name={providerWords(name)} detail={why} />
          ))}
        </ul>
      </section>
      <section className="is-wide">
        <h3>Power sources</h3>
        {check.power_sources.length === 0 && <p className="none">None found. A plug, declared watts or a calibration can stand in: press Power.</p>}
        <ul className="found">
          {check.power_sources.map((source) => (
            <Source key={`${source.source} ${source.scope} ${source.detail}`} source={source} />
          ))}
        </ul>
      </section>
    </div>
  );
}

function Found({ fine, name, detail }: { fine: boolean | null; name: string; detail: string }) {
  return (
    <li>
      {fine === null ? <span className="found-dot" aria-hidden /> : fine ? <IconCheck size={14} className="is-good" aria-label="usable" /> : <IconX size={14} className="is-bad-icon" aria-label="not usable" />}
      <span>
        {name}
        {detail !== "" && <small>{detail}</small>}
      </span>
    </li>
  );
}

export function Source({ source }: { source: PowerSource }) {
  const { admin_step: step } = source;
  return (
    <li className="source" data-testid={`source-${source.source}`}>
      {source.usable ? <IconCheck size={14} className="is-good" aria-label="usable" /> : <IconX size={14} className="is-bad-icon" aria-label="not usable" />}
      <span>
        <b>{source.source}</b> {SCOPE_WORDS[source.scope]}, {METHOD_WORDS[source.method]}
        {source.detail !== "" && <small>{source.detail}</small>}
        {step && (
          <span className="admin-step">
            <small>An administrator of the device may open it with this command. The studio never runs it.</small>
            <CopyBox text={step.command} label={`command that opens ${source.source}`} />
            <small>
              <b>What it exposes:</b> {step.exposes}
            </small>
          </span>
        )}
      </span>
    </li>
  );
}
