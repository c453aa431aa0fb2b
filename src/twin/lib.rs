//! What stands at a site, where, and what it is for; later also how it behaves.
//! Reads/Writes: nothing. Plain values come in, values come out.
//! Invariant: no clock, no disk, no socket, no random number that was not given; the same arguments give the same
//! answer on every machine.
//! Not here: who may do what (`authority`), the world of a running node (`core`), the text of files (`clawmesh`).

pub mod site;
