//! The bridge on real zenoh sessions over loopback TCP: what gets in, what gets out, what is refused.
//! Nothing is found by multicast, no port is fixed, no test sleeps.

#[cfg(test)]
mod frames;
#[cfg(test)]
mod links;
#[cfg(test)]
mod readings;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod support;
