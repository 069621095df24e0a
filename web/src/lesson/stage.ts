/** What stands on the stage: a pure rule over what is on and what this person wants large. */

export type Source = 'screen' | 'slide' | 'camera' | 'floor';

/** Of what is on, the first is large: a shown screen is meant to be looked at now. */
const ORDER: readonly Source[] = ['screen', 'slide', 'camera', 'floor'];

export interface StageNow {
  shows: Source | 'none';
  /** The small ones beside it, in their order. */
  small: Source[];
}

export function stageOf(on: Readonly<Record<Source, boolean>>, wanted: Source | null): StageNow {
  const all = ORDER.filter((source) => on[source]);
  const shows = wanted !== null && on[wanted] ? wanted : (all[0] ?? 'none');
  return { shows, small: all.filter((source) => source !== shows) };
}

/** What the teacher sends, held through an outage: a picture that is away is not a camera put off. */
export interface Sends {
  audio: boolean;
  video: boolean;
  screen: boolean;
}

export function sendsNow(before: Sends, seen: Sends, held: boolean): Sends {
  if (!held) return seen;
  return {
    audio: before.audio || seen.audio,
    video: before.video || seen.video,
    screen: before.screen || seen.screen,
  };
}
