/** How this device shows pages: theme and text size. Both apply at once and stay here. */
export const THEMES = ['auto', 'light', 'dark'] as const;
export const TEXT_SIZES = ['normal', 'large', 'largest'] as const;
export type Theme = (typeof THEMES)[number];
export type TextSize = (typeof TEXT_SIZES)[number];

function remembered<T extends string>(name: string, known: readonly T[], usual: T): T {
  try {
    const stored = localStorage.getItem(name);
    return known.find((value) => value === stored) ?? usual;
  } catch {
    return usual;
  }
}

function remember(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // For this page only, then.
  }
}

const state = $state<{ theme: Theme; text: TextSize }>({
  theme: remembered('yanasha.theme', THEMES, 'auto'),
  text: remembered('yanasha.text', TEXT_SIZES, 'normal'),
});

export const theme = (): Theme => state.theme;
export const textSize = (): TextSize => state.text;

/** Puts the remembered look on the document; called before anything is drawn. */
export function applyAppearance(): void {
  document.documentElement.dataset.theme = state.theme;
  document.documentElement.dataset.text = state.text;
}

export function setTheme(next: Theme): void {
  state.theme = next;
  remember('yanasha.theme', next);
  applyAppearance();
}

export function setTextSize(next: TextSize): void {
  state.text = next;
  remember('yanasha.text', next);
  applyAppearance();
}
