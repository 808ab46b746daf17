/** Host keys: the question about an unknown one, and what is said of a changed one. */
import type { ReactNode } from "react";
import type { Problem, ProblemOut } from "@/api/client";
import { ProblemCard } from "@/app/ProblemCard";

type AnyProblem = Problem | ProblemOut;

function detail(problem: AnyProblem, name: string): string | null {
  const value = problem.details?.[name];
  return typeof value === "string" ? value : null;
}

export interface OfferedKey {
  /** Whose key it is: the device's, or a jump host's on the way to it. */
  address: string;
  fingerprint: string;
  keyType: string | null;
}

/** The key that the person is asked about; null when the problem is another one. */
export function offeredKey(problem: AnyProblem | null, address: string): OfferedKey | null {
  if (problem?.code !== "unknown_host_key") return null;
  const fingerprint = detail(problem, "fingerprint");
  return fingerprint === null ? null : { address: detail(problem, "address") ?? address, fingerprint, keyType: detail(problem, "key_type") };
}

/** What the studio is told of an accepted key: it counts for this host alone. */
export const confirmedKey = ({ address, fingerprint }: OfferedKey): string => `${address}=${fingerprint}`;

const plain = (address: string) => address.replace(/^ssh:\/\//, "").replace(/^.*@/, "").replace(/:22$/, "");

/** `target` is the address that was asked for: a key of another one is a jump host's. */
export function HostKeyQuestion({ offered, target, children }: { offered: OfferedKey; target: string; children: ReactNode }) {
  const kind = (offered.keyType ?? "").replace(/^ssh-/, "").replace(/^ecdsa-.*/, "ecdsa");
  const file = `/etc/ssh/ssh_host_${kind === "" ? "ed25519" : kind}_key.pub`;
  const other = plain(offered.address) !== plain(target);
  return (
    <div className="device-form">
      <div className="host-key">
        <h3>{other ? "Is this the right host on the way?" : "Is this your device?"}</h3>
        <p>
          The studio has not met <b data-testid="host-key-address">{offered.address.replace(/^ssh:\/\//, "")}</b> before
          {other && ", which is what it meets on the way to the device or behind its alias"}. Compare this fingerprint of its host key with the one that the machine itself shows by
        </p>
        <pre>ssh-keygen -lf {file}</pre>
        <code className="fingerprint" data-testid="fingerprint">
          {offered.fingerprint}
        </code>
      </div>
      {children}
    </div>
  );
}

/** A changed key shows both fingerprints and offers no way on: the studio refuses, and says what to do. */
export function DeviceProblem({ problem, children }: { problem: AnyProblem; children?: ReactNode }) {
  const known = detail(problem, "known_fingerprint");
  const presented = detail(problem, "presented_fingerprint");
  return (
    <ProblemCard problem={problem}>
      {known !== null && presented !== null && (
        <dl className="fingerprints">
          <dt>Known</dt>
          <dd>{known}</dd>
          <dt>Shown now</dt>
          <dd data-testid="fingerprint">{presented}</dd>
        </dl>
      )}
      {children}
    </ProblemCard>
  );
}
