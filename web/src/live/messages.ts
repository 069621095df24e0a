/** Reading what a room's socket says. */

/**
 * A reader of messages tagged by `type`: null for anything unreadable or of a type this page does
 * not know. A newer server may say more than an open tab understands; that must break nothing.
 */
export function readerOf<Server extends { type: string }>(
  types: readonly Server['type'][],
): (text: string) => Server | null {
  const known: ReadonlySet<string> = new Set(types);
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return null;
    }
    if (typeof value !== 'object' || value === null || !('type' in value)) return null;
    if (typeof value.type !== 'string' || !known.has(value.type)) return null;
    return value as Server;
  };
}
