import en from './en/call.json';
import ru from './ru/call.json';
import { addCatalogue } from './t';
import tt from './tt/call.json';

// Of what only a call under way needs: it comes later than the page of a visit or a lesson.
addCatalogue('call', { ru, tt, en });
