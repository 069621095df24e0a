/** What the stored signal says of the part in view: asked once for a stretch, kept while it covers. */

import { api, ask } from '../../api/client';
import { mayPass, toProblem, type Problem } from '../../api/problem';
import type { components } from '../../api/schema';
import { runs, type Lanes, type RhythmSpan, type View } from './lanes';

export type Analysis = Pick<components['schemas']['EcgAnalysis'], 'beats' | 'seconds' | 'findings'>;
export type FetchAnalysis = (
  stream: string,
  fromUs: number,
  untilUs: number,
  signal: AbortSignal,
) => Promise<Analysis>;

/** A suspicion of a rhythm needs half a minute; what lies around the view belongs to it. */
const AROUND_US = 45_000_000;
/** Leafing quickly must not ask for every page on the way. */
const SETTLED_MS = 250;
/** What could not be had is asked for again after so long. */
const AGAIN_MS = 5_000;

interface Kept {
  stream: string;
  fromUs: number;
  untilUs: number;
  lanes: Lanes;
  beats: readonly number[];
}

export const analysisOf =
  (visitId: string): FetchAnalysis =>
  (stream, fromUs, untilUs, signal) =>
    ask(
      api.GET('/api/v1/visits/{visit_id}/ecg/{stream_id}/analysis', {
        params: {
          path: { visit_id: visitId, stream_id: stream },
          query: { from_us: Math.floor(fromUs), until_us: Math.ceil(untilUs) },
        },
        signal,
      }),
    );

export class Analyses {
  /** Of the stretch asked for last; null while it is on its way or was not had. */
  kept = $state.raw<Kept | null>(null);
  busy = $state(false);
  problem = $state.raw<Problem | null>(null);

  readonly #fetch: FetchAnalysis;
  /** What is on its way, is here, or was not had a moment ago. */
  #asked: { stream: string; fromUs: number; untilUs: number } | null = null;
  #asking = new AbortController();
  #again: ReturnType<typeof setTimeout> | undefined;

  constructor(fetch: FetchAnalysis) {
    this.#fetch = fetch;
  }

  /** Have the analysis of a view of this stream; what was asked for is not asked for again. */
  async want(stream: string, { fromUs, untilUs }: View): Promise<void> {
    const asked = this.#asked;
    if (asked?.stream === stream && asked.fromUs <= fromUs && asked.untilUs >= untilUs) return;
    this.forget();
    this.#asked = { stream, fromUs, untilUs };
    const { signal } = (this.#asking = new AbortController());
    this.busy = true;
    await new Promise((done) => setTimeout(done, SETTLED_MS));
    if (signal.aborted) return;
    try {
      const found = await this.#fetch(stream, fromUs - AROUND_US, untilUs + AROUND_US, signal);
      if (signal.aborted) return;
      this.kept = {
        stream,
        fromUs,
        untilUs,
        lanes: { quality: runs(found.seconds), rhythm: found.findings.map(spanOf) },
        beats: found.beats.filter((us) => us >= fromUs && us <= untilUs),
      };
    } catch (error) {
      if (signal.aborted) return;
      this.problem = toProblem(error);
      // What is refused would be refused again.
      if (mayPass(this.problem)) {
        this.#again = setTimeout(() => (this.#asked = null), AGAIN_MS);
      }
    }
    this.busy = false;
  }

  /** The trace goes on: what was asked is not waited for. */
  forget(): void {
    this.#asking.abort();
    clearTimeout(this.#again);
    this.#asked = null;
    this.busy = false;
    this.problem = null;
    this.kept = null;
  }
}

const spanOf = ({ code, first_us, last_us }: RhythmSpan): RhythmSpan => ({
  code,
  first_us,
  last_us,
});
