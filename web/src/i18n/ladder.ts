import en from './en/ladder.json';
import ru from './ru/ladder.json';
import { addCatalogue } from './t';
import tt from './tt/ladder.json';

// Imported by the line that says them, which comes after the call.
addCatalogue('ladder', { ru, tt, en });
