import { parseHash, samePage, type Route } from './router';

// `turns` counts changes of page; the first page a person opens is turn 0 and keeps the
// browser's own focus, every later one moves focus to its heading.
const state = $state({ hash: location.hash, turns: 0 });
const route = $derived(parseHash(state.hash));

export function currentRoute(): Route {
  return route;
}

export function currentHash(): string {
  return state.hash;
}

export function turns(): number {
  return state.turns;
}

/** Answers whether the page may be left now; when not, `onward` leaves it later. */
type Guard = (onward: () => void) => boolean;
let guard: Guard | null = null;

/** Asks `before` another page is shown in place of this one; answers how to stop asking. */
export function guardPage(before: Guard): () => void {
  guard = before;
  return () => {
    if (guard === before) guard = null;
  };
}

/** Does what ends the page, when what is on it may be lost. */
export function leave(onward: () => void): void {
  if (guard === null || guard(onward)) onward();
}

function show(): void {
  if (!samePage(route, parseHash(location.hash))) state.turns += 1;
  state.hash = location.hash;
}

function follow(): void {
  const to = location.hash;
  const onward = (): void => {
    history.pushState(null, '', to);
    show();
  };
  if (guard === null || samePage(route, parseHash(to)) || guard(onward)) {
    show();
  } else {
    // A link and the browser's Back tell only afterwards: the address goes back to the page shown.
    history.replaceState(history.state, '', state.hash);
  }
}

/** Follows the address from now on; answers how to stop. */
export function followAddress(): () => void {
  window.addEventListener('hashchange', follow);
  return () => window.removeEventListener('hashchange', follow);
}

export function go(hash: string): void {
  location.hash = hash;
}

/** Goes there without leaving the present page in the history. */
export function replace(hash: string): void {
  history.replaceState(history.state, '', hash);
  show();
}
