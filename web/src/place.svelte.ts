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

function follow(): void {
  if (!samePage(route, parseHash(location.hash))) state.turns += 1;
  state.hash = location.hash;
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
  follow();
}
