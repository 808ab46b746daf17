/** The studio's sign: one network, two devices. */
export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" aria-hidden>
      <rect x="1" y="1" width="22" height="22" rx="5" fill="#3b5bdb" />
      <path d="M12 7.500v2.500M12 10 7.500 13M12 10l4.500 3" stroke="#fff" strokeWidth="1.500" fill="none" />
      <rect x="9" y="4" width="6" height="4" rx="1.200" fill="#fff" />
      <rect x="4.500" y="13.500" width="6" height="4" rx="1.200" fill="#63e6be" />
      <rect x="13.500" y="13.500" width="6" height="4" rx="1.200" fill="#ffc078" />
    </svg>
  );
}
