/** A part of a page that is fetched when it is needed: asked for again until it is here. */

const AGAIN_MS = 2_000;

export async function later<Part>(ask: () => Promise<Part>): Promise<Part> {
  for (;;) {
    try {
      return await ask();
    } catch {
      await new Promise((again) => setTimeout(again, AGAIN_MS));
    }
  }
}
