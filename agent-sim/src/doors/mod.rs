//! The agent's own doors. Neither takes orders from the network: the loopback door only tells, the socket serves the
//! accounts of this machine.

pub mod loopback;
pub mod socket;
