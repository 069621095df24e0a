/** Whether the page is wider than a phone; followed by templates while `followWidth` is on. */

const state = $state({ wide: true });

export function isWide(): boolean {
  return state.wide;
}

/** Follows the width for a page; answers how to stop. */
export function followWidth(): () => void {
  if (typeof window.matchMedia !== 'function') return () => {};
  const query = window.matchMedia('(min-width: 48rem)');
  const look = (): void => {
    state.wide = query.matches;
  };
  look();
  query.addEventListener('change', look);
  return () => query.removeEventListener('change', look);
}
