//! Messages of a pairing over TCP: two bytes of length, then the message. Every wait has an end.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use clawmesh_authority::pairing::MESSAGE_BYTES_MAX;
use clawmesh_authority::{Code, Refused};

use crate::moments::now;

/// How long the other side may take to read what we send.
const SEND_PATIENCE: Duration = Duration::from_secs(5);

/// One connection.
#[derive(Debug)]
pub struct Line(TcpStream);

impl Line {
    /// Over this connection.
    pub fn over(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(SEND_PATIENCE))?;
        Ok(Self(stream))
    }

    /// The same connection, for another thread.
    pub fn again(&self) -> std::io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends a message.
    pub fn send(&mut self, message: &[u8]) -> Result<(), Refused> {
        let length = u16::try_from(message.len()).map_err(|_| gone("the message is too long to send"))?;
        let framed = [&length.to_be_bytes()[..], message].concat();
        self.0.write_all(&framed).map_err(|fault| gone(&fault.to_string()))
    }

    /// The next message, if it is there in time.
    pub fn receive(&mut self, until: Instant) -> Result<Vec<u8>, Refused> {
        let mut length = [0; 2];
        self.fill(&mut length, until)?;
        let length = usize::from(u16::from_be_bytes(length));
        if length > MESSAGE_BYTES_MAX {
            let sentence = format!("a message of {length} bytes, at most {MESSAGE_BYTES_MAX} are allowed");
            return Err(Refused::new(Code::TooLarge, "pairing.size", sentence));
        }
        let mut message = vec![0; length];
        self.fill(&mut message, until)?;
        Ok(message)
    }

    fn fill(&mut self, bytes: &mut [u8], until: Instant) -> Result<(), Refused> {
        let mut filled = 0;
        while filled < bytes.len() {
            let left = until.saturating_duration_since(now());
            if left.is_zero() {
                return Err(late());
            }
            self.0.set_read_timeout(Some(left)).map_err(|fault| gone(&fault.to_string()))?;
            match self.0.read(&mut bytes[filled..]) {
                Ok(0) => return Err(gone("it has closed the connection")),
                Ok(more) => filled += more,
                Err(fault) if matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(fault) if fault.kind() == ErrorKind::Interrupted => {}
                Err(fault) => return Err(gone(&fault.to_string())),
            }
        }
        Ok(())
    }
}

/// Nothing came in time.
pub fn late() -> Refused {
    let sentence = "the time is over before both sides have confirmed; begin again at both";
    Refused::new(Code::PairingTimeout, "pairing.window", sentence)
}

fn gone(why: &str) -> Refused {
    let sentence = format!("the connection to the other side has ended ({why}); begin again at both");
    Refused::new(Code::PairingNotActive, "pairing.connection", sentence)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (Line, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Line::over(listener.accept().unwrap().0).unwrap(), there)
    }

    fn soon() -> Instant {
        now() + Duration::from_secs(20)
    }

    #[test]
    fn what_is_sent_is_received_whole_and_in_order() {
        let (mut here, there) = pair();
        let mut there = Line::over(there).unwrap();
        let largest = vec![7; MESSAGE_BYTES_MAX];
        for message in [&b"one"[..], b"", &largest] {
            there.send(message).unwrap();
        }
        for message in [&b"one"[..], b"", &largest] {
            assert_eq!(here.receive(soon()).unwrap(), message);
        }
    }

    #[test]
    fn what_is_too_long_cut_off_or_late_is_refused() {
        let (mut here, mut there) = pair();
        there.write_all(&[0xff, 0xff]).unwrap();
        assert_eq!(here.receive(soon()).unwrap_err().code, Code::TooLarge);
        let (mut here, mut there) = pair();
        there.write_all(&[0, 9, 1, 2]).unwrap();
        drop(there);
        assert_eq!(here.receive(soon()).unwrap_err().code, Code::PairingNotActive);
        let (mut here, _there) = pair();
        let refused = here.receive(now() + Duration::from_millis(20)).unwrap_err();
        assert_eq!(refused.code, Code::PairingTimeout);
    }
}
