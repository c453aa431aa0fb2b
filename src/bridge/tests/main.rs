//! The bridge on real zenoh sessions over loopback TCP: what gets in, what gets out, what is refused.
//! Nothing is found by multicast, no port is fixed. No test sleeps until something has happened: it waits for it.
//! Only what must not happen is given a moment (`QUIET`) in which it could.

#[cfg(test)]
mod access;
#[cfg(test)]
mod asks;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod links;
#[cfg(test)]
mod papers;
#[cfg(test)]
mod readings;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod stops;
#[cfg(test)]
mod support;
#[cfg(test)]
mod times;
#[cfg(test)]
mod trust;
