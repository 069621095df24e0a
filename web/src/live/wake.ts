/** Calls `wake` whenever the network or the page comes back; answers how to stop. */
export function followWakes(wake: () => void): () => void {
  const seen = (): void => {
    if (document.visibilityState === 'visible') wake();
  };
  const events = ['online', 'focus', 'pageshow'] as const;
  document.addEventListener('visibilitychange', seen);
  for (const event of events) window.addEventListener(event, seen);
  return () => {
    document.removeEventListener('visibilitychange', seen);
    for (const event of events) window.removeEventListener(event, seen);
  };
}
