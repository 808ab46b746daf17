/** What a plan says besides where its layers are. */
import { Button, NumberInput } from "@mantine/core";
import { useState } from "react";
import { Dialog } from "@/app/Dialog";
import { changeRest, planStore } from "@/plan/store";

const MOST_FRAMES = 64;

export default function PlanSettings({ close }: { close: () => void }) {
  const [{ max_change, micro_batch }] = useState(() => planStore.getState().content.rest);
  const [change, setChange] = useState(max_change * 100);
  const [frames, setFrames] = useState(micro_batch);
  return (
    <Dialog onClose={close} title="Settings of the plan">
      <form
        data-testid="plan-settings-form"
        onSubmit={(event) => {
          event.preventDefault();
          changeRest({ max_change: change / 100, micro_batch: frames }, "Settings of the plan");
          close();
        }}
      >
        <NumberInput
          size="xs"
          label="Frames in one go, at most"
          description="A stage may compute several waiting frames at once, where the network allows it. Each device measures which number is best for it."
          value={frames}
          onChange={(value) => setFrames(Math.min(Math.max(Math.round(Number(value) || 1), 1), MOST_FRAMES))}
          min={1}
          max={MOST_FRAMES}
          data-testid="micro-batch"
        />
        <NumberInput
          size="xs"
          mt="sm"
          label="Allowed change of the answers by automatic codecs"
          description="Share of their largest value; 0: only codecs that lose nothing."
          value={change}
          onChange={(value) => setChange(Number(value) || 0)}
          min={0}
          max={1000}
          step={0.5}
          suffix=" %"
        />
        <footer className="dialog-foot">
          <Button size="xs" variant="default" onClick={close}>
            Cancel
          </Button>
          <Button size="xs" type="submit" data-testid="plan-settings-apply">
            Use them
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
