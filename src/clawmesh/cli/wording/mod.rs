//! What several commands say in the same words: steps as people type and read them, and the card of the twin.
//! Reads the plan of a site and its policy. Writes nothing; texts and values come out.
//! Invariant: what is drawn is what was given: nothing is rounded that somebody signs, and text from outside cannot play
//! tricks on the terminal.
//! Not here: asking a node (`client`), tables and numbers (`table`).

pub mod card;
pub mod steps;
