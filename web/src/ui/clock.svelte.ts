const STEP_MS = 15_000;
const state = $state({ now: new Date() });
let followers = 0;
let timer: ReturnType<typeof setInterval> | undefined;

const step = (): void => {
  state.now = new Date();
};

/** The time now, fresh to a quarter of a minute while `followClock` is on. */
export function now(): Date {
  return state.now;
}

/** Keeps the clock going for a page; answers how to stop. */
export function followClock(): () => void {
  followers += 1;
  step();
  timer ??= setInterval(step, STEP_MS);
  document.addEventListener('visibilitychange', step);
  return () => {
    followers -= 1;
    if (followers > 0) return;
    clearInterval(timer);
    timer = undefined;
    document.removeEventListener('visibilitychange', step);
  };
}
