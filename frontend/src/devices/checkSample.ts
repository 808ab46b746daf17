/** A check's answer for tests. */
import type { DeviceCheck } from "@/api/types";

export const checkSample: DeviceCheck = {
  verdict: "limited", reasons: [{ code: "clock", severity: "limit", text: "Its clock is off", next_step: "Set it." }], checked_at: "2026-01-01T00:00:00Z",
  os: "Debian 12", architecture: "aarch64", bits: 64, model: "Raspberry Pi 4", kernel: "6.1", libc: "glibc 2.36",
  python: { path: "/usr/bin/python3", version: "3.11.2", usable: true, why: "" },
  pythons: [{ path: "/usr/bin/python3", version: "3.11.2", usable: true, why: "" }, { path: "/usr/bin/python2", version: "2.7.18", usable: false, why: "too old" }],
  usable_cores: 4, affinity_cores: 4, quota_cores: null, memory_bytes: 4e9, memory_physical_bytes: 4e9, memory_cgroup_bytes: null, limits_known: true, memory_available_bytes: null,
  disk_free_bytes: 1e10, clock_offset_s: 3600, clock_uncertainty_s: 0.01, cpu_flags_missing: [], accelerators: [], providers: [], thermal: null,
  power_sources: [], addresses: ["10.0.0.2"], has_sftp: false, starts_by: "detached", restarts_after_reboot: false, restart_note: "no systemd", onnxruntime: "1.31",
};
