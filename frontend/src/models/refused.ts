/** What a refusal says about single layers. Pure; the details come from a file that nobody trusts. */

interface Refused {
  layers: { layer: string; operator: string }[];
  /** How many more there are. */
  more: number;
}

const textOf = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

export function refusedLayers(details: Readonly<Record<string, unknown>>): Refused {
  const { refused, refused_count: count, node, op_type: operator } = details;
  if (Array.isArray(refused)) {
    const layers = refused.flatMap((item: unknown) => {
      if (typeof item !== "object" || item === null) return [];
      const { layer, operator: op } = item as Record<string, unknown>;
      const name = textOf(layer);
      return name === null ? [] : [{ layer: name, operator: textOf(op) ?? "unknown" }];
    });
    return { layers, more: typeof count === "number" ? Math.max(0, count - layers.length) : 0 };
  }
  const [layer, op] = [textOf(node), textOf(operator)];
  return { layers: layer !== null && op !== null ? [{ layer, operator: op }] : [], more: 0 };
}
