/** What happened, said to everybody: shortly on screen, and politely to a screen reader. */
export interface Toast {
  id: number;
  text: string;
  kind: 'done' | 'trouble';
}

const SHOWN_MS = 8000;
const state = $state<{ spoken: string; toasts: Toast[] }>({ spoken: '', toasts: [] });
let last = 0;

export const spoken = (): string => state.spoken;
export const toasts = (): readonly Toast[] => state.toasts;

/** Says a sentence to screen readers only, when the eye sees the change anyway. */
export function announce(text: string): void {
  // The same words twice are no change to a live region: a no-break space makes them one.
  state.spoken = state.spoken === text ? `${text}\u00a0` : text;
}

/** Shows a sentence for a while and says it. Never the only place of something important. */
export function toast(text: string, kind: Toast['kind'] = 'done'): void {
  last += 1;
  const id = last;
  state.toasts.push({ id, text, kind });
  setTimeout(() => dismiss(id), SHOWN_MS);
}

export function dismiss(id: number): void {
  state.toasts = state.toasts.filter((shown) => shown.id !== id);
}
