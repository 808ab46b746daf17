/** Asked when a network leaves the size of a dimension open: the file is sent again with it. */
import { Button, NumberInput } from "@mantine/core";
import { useState } from "react";

const LARGEST = 2 ** 31 - 1;

export function FreeDimension({ symbol, send }: { symbol: string; send: (size: number) => void }) {
  const [size, setSize] = useState<number | string>("");
  const ready = typeof size === "number" && Number.isInteger(size) && size >= 1 && size <= LARGEST;
  return (
    <form
      className="free-dimension"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) send(size);
      }}
    >
      <NumberInput size="xs" w={130} label={`Size of ${symbol}`} min={1} max={LARGEST} allowDecimal={false} value={size} onChange={setSize} data-testid="dimension-size" />
      <Button size="xs" type="submit" disabled={!ready} data-testid="dimension-send">
        Send again
      </Button>
    </form>
  );
}
