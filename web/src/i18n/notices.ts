import en from './en/notices.json';
import ru from './ru/notices.json';
import { addCatalogue } from './t';
import tt from './tt/notices.json';

// Imported by its pages, which come later than the shell: so do their sentences.
addCatalogue('notices', { ru, tt, en });
