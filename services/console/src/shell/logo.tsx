/** A gate with its bars: the mark of the product. */
export function Logo() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#3549a0" />
      <g stroke="#e6ebff" strokeWidth="2.3" strokeLinecap="round" fill="none">
        <path d="M7 24V13a9 9 0 0 1 18 0v11" />
        <path d="M12 8.5V25M16 6v20M20 8.5V25M7.5 13.5h17M7 19h18" />
      </g>
    </svg>
  );
}
