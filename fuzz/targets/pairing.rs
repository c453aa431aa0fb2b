//! What two nodes say while they are paired. The first byte says where in the talk the message arrives.

use clawmesh_authority::pairing::{self, About, Hosting, Joined, Joining, Meeting, No, Word};
use clawmesh_authority::signed::Purpose;
use clawmesh_authority::{Code, Refused};

use super::{MIB, Seed, Target, is_brief, promised};
use crate::mutate::{Shape, key};

pub(super) const TARGET: Target = Target {
    name: "pairing",
    promise: "after the first word nobody else is heard, and what a side was committed to is all it can show",
    shapes: &[Shape::Signed(1, Purpose::PAIRING)],
    seeds,
    check,
    memory_bytes_max: MIB,
    memory_per_byte: 256,
};

/// The other side's sentence within ours.
const SENTENCE_BYTES_MAX: usize = 2_048;

/// The places of the talk at which a message of the other side arrives.
const HELLO: u8 = 0;
const WELCOME: u8 = 1;
const JOINER_SHOWS: u8 = 2;
const HOST_SHOWS: u8 = 3;
const HOST_SAYS: u8 = 4;
const JOINER_SAYS: u8 = 5;

fn about(name: &str) -> About {
    About { mesh_name: "lab".to_owned(), name: name.to_owned() }
}

fn joining() -> Joining {
    Joining::new(key(1), about("barn"), [5; 32])
}

fn hosting() -> Hosting {
    Hosting::new(key(2), &about("house"), [6; 32], joining().hello()).expect("both sides are of this file")
}

fn joined() -> Joined {
    joining().answer(hosting().welcome()).expect("both sides are of this file")
}

fn met() -> (Vec<u8>, Meeting, Meeting) {
    let joined = joined();
    let (shown, host) = hosting().meet(joined.reveal()).expect("both sides are of this file");
    let joiner = joined.meet(&shown).expect("both sides are of this file");
    (shown, host, joiner)
}

fn seeds() -> Vec<Seed> {
    let (shown, host, joiner) = met();
    let no = || No { code: Code::PairingSasMismatch, sentence: "the codes differ".to_owned() };
    let papers = || Word::Papers { root: vec![1; 300], certificate: vec![2; 300] };
    let end = pairing::end(&key(2), &Refused::new(Code::Busy, "pairing.busy", "later"));
    let at = |place: u8, bytes: &[u8]| [&[place][..], bytes].concat();
    vec![
        ("hello", at(HELLO, joining().hello())),
        ("welcome", at(WELCOME, hosting().welcome())),
        ("end", at(WELCOME, &end)),
        ("joiner-shows", at(JOINER_SHOWS, joined().reveal())),
        ("host-shows", at(HOST_SHOWS, &shown)),
        ("papers", at(HOST_SAYS, &host.say(papers()))),
        ("no", at(HOST_SAYS, &host.say(Word::No(no())))),
        ("yes", at(JOINER_SAYS, &joiner.say(Word::Yes))),
        ("kept", at(JOINER_SAYS, &joiner.say(Word::Kept))),
    ]
}

fn check(input: &[u8]) -> Result<String, String> {
    let Some((place, bytes)) = input.split_first() else { return Ok("nothing".to_owned()) };
    match arrives(*place, bytes) {
        Ok(what) => what,
        Err(refused) => {
            is_brief(&refused.sentence, SENTENCE_BYTES_MAX)?;
            Ok(format!("{place} {refused}"))
        }
    }
}

fn arrives(place: u8, bytes: &[u8]) -> Result<Result<String, String>, Refused> {
    Ok(match place {
        HELLO => {
            let hosting = Hosting::new(key(2), &about("house"), [6; 32], bytes)?;
            promised(hosting.welcome().len() <= pairing::MESSAGE_BYTES_MAX, || {
                "too long a welcome".to_owned()
            })
            .map(|()| "a hello".to_owned())
        }
        WELCOME => {
            let joined = joining().answer(bytes)?;
            promised(joined.reveal() != self::joined().reveal() || bytes == hosting().welcome(), || {
                "the nonce is shown in the same words to another welcome".to_owned()
            })
            .map(|()| "a welcome".to_owned())
        }
        JOINER_SHOWS => {
            let (_, meeting) = hosting().meet(bytes)?;
            let is_other = bytes != joined().reveal() || *meeting.peer() != key(1).public();
            promised(!is_other, || "the host meets who has not said hello".to_owned())
                .map(|()| format!("met {}", meeting.code()))
        }
        HOST_SHOWS => {
            let meeting = joined().meet(bytes)?;
            let (shown, host, _) = met();
            let is_same = bytes == shown && meeting.code() == host.code();
            promised(is_same && *meeting.peer() == key(2).public(), || {
                "the joiner meets who has not said welcome".to_owned()
            })
            .map(|()| format!("met {}", meeting.code()))
        }
        _ => {
            let (_, host, joiner) = met();
            let (hearer, speaker) = if place == HOST_SAYS { (joiner, host) } else { (host, joiner) };
            let word = hearer.hear(bytes)?;
            promised(speaker.say(word.clone()) == bytes, || "a word that its speaker did not say".to_owned())
                .map(|()| format!("{:?}", std::mem::discriminant(&word)))
        }
    })
}
