//! Marathon: placement constraints on Mesos offers.
//!
//! Source: Marathon 90619da7 (2021-07), `Constraints.scala`.
//!
//! A tour. A [`site::Site`] is an agent as constraints see it: host name, [`attribute`]s, region, zone. A
//! [`constraint::Constraint`] is read once from its three texts and then says of an offered site whether an
//! instance may go there, given the sites of the instances placed so far, or else the
//! [`operator::Reason`] why not. The operators have a file each.
//!
//! Marathon does not rank: the first offer that meets all constraints is used.

pub mod attribute;
pub mod constraint;
pub mod operator;
pub mod site;
