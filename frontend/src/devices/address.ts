/** Addresses of devices, between the form's fields and `ssh://user@host:port`. Pure. */

export interface AddressParts {
  host: string;
  user: string;
  port: string;
}

const WRITTEN = /^(?:ssh:\/\/)?(?:([^@/\s]*)@)?(\[[^\]\s]*\]|[^:/@[\]\s]+)(?::(\d+))?\/?$/;

/** Split what was typed or pasted as the host (`pi@10.0.0.5:2222`); what it does not say stays as it was. */
export function splitAddress(typed: string, before: AddressParts): AddressParts {
  const text = typed.trim();
  const found = WRITTEN.exec(text);
  if (!found) return { ...before, host: text };
  const [, user, host, port] = found;
  return { host: host ?? text, user: user ?? before.user, port: port ?? before.port };
}

export function joinAddress({ host, user, port }: AddressParts): string {
  const name = host.trim();
  const bracketed = name.includes(":") && !name.startsWith("[") ? `[${name}]` : name;
  return `ssh://${user.trim() === "" ? "" : `${user.trim()}@`}${bracketed}${port.trim() === "" ? "" : `:${port.trim()}`}`;
}

/** Names for processes on this machine that nobody has yet. */
export function localNames(taken: readonly string[], count: number): string[] {
  const names: string[] = [];
  for (let number = 1; names.length < count; number += 1) {
    const name = `local-${number}`;
    if (!taken.includes(name)) names.push(name);
  }
  return names;
}
