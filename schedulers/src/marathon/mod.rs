//! Marathon: a framework on Mesos that keeps instances of apps running.
//!
//! Source: Marathon 90619da7 (2021-07), `Constraints.scala`, `ResourceMatcher.scala`, `OfferMatcherManagerActor.scala`;
//! its documentation on fault domains and GPUs.
//!
//! A tour. A [`site::Site`] is an agent as constraints see it: host name, [`attribute`]s, region, zone. A
//! [`constraint::Constraint`] is read once from its three texts and then says of an offered site whether an
//! instance may go there, given the sites of the instances placed so far, or else the
//! [`operator::Reason`] why not. The operators have a file each. [`offer::take`] is the decision over an offer: which
//! apps launch instances from it.
//!
//! Marathon does not rank: offers are looked at one by one, and the first that fits is used. So what decides is which
//! offer comes first, and which app is asked first; the latter is chance in the real system, and an argument here.

pub mod attribute;
pub mod constraint;
pub mod offer;
pub mod operator;
pub mod pace;
pub mod policy;
pub mod site;
