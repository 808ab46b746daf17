/** What happened to the plan by no hand of ours. */
import { IconX } from "@tabler/icons-react";
import { endNotice, holdNotice, useNotice } from "@/plan/notice";

export function PlanNotice() {
  const shown = useNotice();
  return (
    <div className="plan-notice-place" role="status">
      {shown && (
        <div
          key={shown.id}
          className="plan-notice"
          data-testid="plan-notice"
          onPointerEnter={() => holdNotice(true)}
          onPointerLeave={() => holdNotice(false)}
          onFocus={() => holdNotice(true)}
          onBlur={() => holdNotice(false)}
        >
          <span dir="auto">{shown.text}</span>
          {shown.actions.map(({ label, run }) => (
            <button
              key={label}
              type="button"
              onClick={() => {
                run();
                endNotice();
              }}
            >
              {label}
            </button>
          ))}
          <button type="button" className="plan-notice-close" aria-label="Close the notice" onClick={endNotice}>
            <IconX size={14} />
          </button>
        </div>
      )}
    </div>
  );
}
