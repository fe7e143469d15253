// What belongs to the page as a whole: the dark theme, and files dropped anywhere.

import { Intake } from "./intake.js";

document.body.classList.add("dark");
new Intake(document);
