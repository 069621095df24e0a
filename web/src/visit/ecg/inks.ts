import type { Inks } from './paint';

/** Colours of the paper from the custom properties around the canvas, so that it follows the theme. */
export function inksOf(canvas: HTMLCanvasElement): Inks {
  const style = getComputedStyle(canvas);
  const ink = (name: string): string => style.getPropertyValue(`--ecg-${name}`).trim();
  return {
    paper: ink('paper'),
    fine: ink('fine'),
    bold: ink('bold'),
    trace: ink('trace'),
    gap: ink('gap'),
    mark: ink('mark'),
    beat: ink('beat'),
  };
}
