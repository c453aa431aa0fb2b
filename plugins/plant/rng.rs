//! Random numbers of our own, one stream for each name, so that a new sensor changes nobody else's noise.

/// SplitMix64 (Steele, Lea, Flood 2014), begun at a place that a seed and a name decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream(u64);

impl Stream {
    /// The stream of this name under this seed.
    pub fn named(seed: u64, name: &str) -> Self {
        // FNV-1a: any hash will do that never changes between versions of Rust, as the standard one may.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(Self(seed).next_u64() ^ Self(hash).next_u64())
    }

    /// The stream of this name and number under this seed, for example of one day.
    pub fn numbered(seed: u64, name: &str, number: u64) -> Self {
        let mut of_name = Self::named(seed, name);
        Self(of_name.next_u64() ^ Self(number).next_u64())
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to but not including 1.
    pub fn share(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number between two others.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.share() * (high - low)
    }

    /// A number below `bound`, or 0 when the bound is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next_u64() % bound as u64) as usize }
    }

    /// A bell around 0 with a standard deviation of 1, and never beyond [`BELL_MAX`].
    pub fn bell(&mut self) -> f64 {
        // The sum of four even numbers has the variance 4/12.
        let sum: f64 = (0..4).map(|_| self.share()).sum();
        (sum - 2.0) * BELL_MAX / 2.0
    }
}

/// How far [`Stream::bell`] goes at most: 2 · √3.
pub const BELL_MAX: f64 = 3.464_101_615_137_754_6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_seed_and_a_name_never_changes() {
        let mut stream = Stream::named(7, "rain");
        let first: Vec<u64> = (0..2).map(|_| stream.next_u64()).collect();
        assert_eq!(first, [17_346_544_152_682_373_650, 15_736_634_843_971_042_777]);
    }

    #[test]
    fn names_numbers_and_seeds_lead_to_different_streams() {
        let first = |mut stream: Stream| stream.next_u64();
        let all = [
            first(Stream::named(7, "rain")),
            first(Stream::named(7, "wind")),
            first(Stream::named(8, "rain")),
            first(Stream::numbered(7, "rain", 0)),
            first(Stream::numbered(7, "rain", 1)),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}: {all:?}");
        }
    }

    #[test]
    fn the_bell_has_its_mean_and_width_and_stays_within_its_bound() {
        let mut stream = Stream::named(1, "bell");
        let drawn: Vec<f64> = (0..20_000).map(|_| stream.bell()).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / drawn.len() as f64;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
        assert!(drawn.iter().all(|x| x.abs() <= BELL_MAX));
    }

    #[test]
    fn a_number_below_nothing_is_zero() {
        assert_eq!(Stream::named(1, "a").below(0), 0);
    }
}
