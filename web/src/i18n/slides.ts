import en from './en/slides.json';
import ru from './ru/slides.json';
import { addCatalogue } from './t';
import tt from './tt/slides.json';

// Imported by what shows slides, which comes later than the shell: so do its sentences.
addCatalogue('slides', { ru, tt, en });
