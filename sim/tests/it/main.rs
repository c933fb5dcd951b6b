//! The manager and the world together: scripts with their journals, seeds × faults × checkers, and
//! closed forms of queueing theory.

mod closed_forms;
mod parts;
mod replay;
mod scripts;
mod swarm;
