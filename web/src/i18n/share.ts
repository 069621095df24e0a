import en from './en/share.json';
import ru from './ru/share.json';
import { addCatalogue } from './t';
import tt from './tt/share.json';

// Imported by its pages, which come later than the shell: so do their sentences.
addCatalogue('share', { ru, tt, en });
