import en from './en/lesson.json';
import ru from './ru/lesson.json';
import { addCatalogue } from './t';
import tt from './tt/lesson.json';

// Imported by the lesson room, which comes later than the shell: so do its sentences.
addCatalogue('lesson', { ru, tt, en });
