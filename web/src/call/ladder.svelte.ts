/** On which step of the ladder this page stands: what it gets of the others' media, and why not more. */

export type Step = 'high' | 'low' | 'slow' | 'voice' | 'text';
export type StepReason = 'your_link' | 'sender_link';

export interface MediaStep {
  step: Step;
  reason: StepReason;
}

const HIGHEST: MediaStep = { step: 'high', reason: 'your_link' };

export class Ladder {
  now = $state.raw<MediaStep>(HIGHEST);

  /** Nothing was said yet of media that began anew: that a link is well again is not known. */
  readonly untold = $derived(this.now === HIGHEST);
  /** No picture comes through: its place is for slides, readings, what is written. */
  readonly pictureless = $derived(this.now.step === 'voice' || this.now.step === 'text');
  readonly voiceless = $derived(this.now.step === 'text');

  stand({ step, reason }: MediaStep): void {
    this.now = { step, reason };
  }

  /** Media, or the link that tells of them, begin anew, and with them the ladder. */
  again(): void {
    this.now = HIGHEST;
  }
}
