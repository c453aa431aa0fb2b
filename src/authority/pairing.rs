//! What two nodes say to each other while their people make them trust each other, and the code that both screens show.
//!
//! Somebody in between could show each side a key of their own. That the two screens show the same six digits rules it out
//! only if nobody can search for keys that give them, so 32 random bytes of each side go into the code as well. Both sides
//! commit to theirs before either shows them: nobody can choose by the outcome, and nobody learns a code that is not shown to a
//! person right then. Whoever stands in between has one try in a million for each code that a person sees. What follows is
//! signed with the two keys the code was made of.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use minicbor::{Decode, Encode};
use sha2::{Digest as _, Sha256};

use crate::canonical;
use crate::ids::{ContentHash, MeshId};
use crate::keys::{NodeKey, PublicKey};
use crate::refusal::Code;
use crate::refused::Refused;
use crate::signed::{self, Form, Purpose};

/// The largest message, in bytes: room for two certificates.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024;
/// The most characters of a name.
pub const NAME_CHARACTERS_MAX: usize = 64;
/// The largest certificate, in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 3 * 1024;
/// The longest sentence of a refusal, in bytes.
pub const SENTENCE_BYTES_MAX: usize = 512;

/// 32 bytes nobody can guess, made for one pairing.
pub type Nonce = [u8; 32];

/// What a node says of itself. Only its key is proven; people compare the rest with what they know.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct About {
    /// The mesh it is in, by name.
    #[n(0)]
    pub mesh_name: String,
    /// What people call it.
    #[n(1)]
    pub name: String,
}

impl About {
    /// Its mesh.
    #[must_use]
    pub fn mesh(&self) -> MeshId {
        MeshId::of_name(&self.mesh_name)
    }

    fn fault(&self) -> Option<String> {
        let is_wrong = |text: &String| {
            text.trim().is_empty()
                || text.chars().count() > NAME_CHARACTERS_MAX
                || text.chars().any(char::is_control)
        };
        [&self.mesh_name, &self.name].into_iter().any(is_wrong).then(|| {
            format!(
                "a name has 1 to {NAME_CHARACTERS_MAX} characters and no control characters; rename the node"
            )
        })
    }
}

/// Six digits that both screens show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairingCode(u32);

impl PairingCode {
    /// The code of two keys, in either order, and of what is `mixed` in. Without anything mixed in it is the number that
    /// existing nodes planned, which depends on nothing but public keys.
    fn of(a: &PublicKey, b: &PublicKey, mixed: &[Nonce]) -> Self {
        let mut keys = [a, b].map(|key| BASE64_URL_SAFE_NO_PAD.encode(key.raw()));
        keys.sort_unstable();
        let mut text = format!("clawmesh-pair|{}|{}", keys[0], keys[1]);
        for nonce in mixed {
            text.push('|');
            text.push_str(&BASE64_URL_SAFE_NO_PAD.encode(nonce));
        }
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(text));
        Self(u32::from_be_bytes([a, b, c, d]) % 1_000_000)
    }

    /// True when a person has typed this code; blanks and dashes within it count for nothing.
    #[must_use]
    pub fn is_typed(self, text: &str) -> bool {
        let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        digits == self.to_string()
    }
}

impl fmt::Display for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

/// Everything that is said, signed for [`Purpose::PAIRING`].
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
enum Message {
    /// The side that joins begins.
    #[n(0)]
    Hello {
        #[n(0)]
        about: About,
        /// The hash of the nonce that [`Message::Reveal`] will show.
        #[n(1)]
        commitment: ContentHash,
    },
    /// The side that accepts answers.
    #[n(1)]
    Welcome {
        #[n(0)]
        about: About,
        /// The hash of the nonce that it will show when the other side has shown its own.
        #[n(1)]
        commitment: ContentHash,
        /// The hash of the hello it answers.
        #[n(2)]
        hello: ContentHash,
    },
    /// A side shows what it is committed to; the one that joins does so first.
    #[n(2)]
    Reveal {
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        nonce: Nonce,
        /// The hash of the message it answers.
        #[n(1)]
        answers: ContentHash,
    },
    /// Once both have a code.
    #[n(3)]
    Said {
        /// The hash of the four messages before.
        #[n(0)]
        transcript: ContentHash,
        #[n(1)]
        word: Word,
    },
    /// It ends here, before there is a code.
    #[n(4)]
    End(#[n(0)] No),
}

/// What is said once both sides have a code.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Word {
    /// The person at the side that joins has seen the same code at the other side.
    #[n(0)]
    Yes,
    /// So has the person at the side that accepts; with this the other side may link.
    #[n(1)]
    Papers {
        /// The certificate of the mesh, DER.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        root: Vec<u8>,
        /// The certificate of the side that joins, DER.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        certificate: Vec<u8>,
    },
    /// All of it is kept.
    #[n(2)]
    Kept,
    /// It ends here.
    #[n(3)]
    No(#[n(0)] No),
}

/// Why one side ends it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct No {
    /// The code, for programs.
    #[n(0)]
    pub code: Code,
    /// What happened and what to do.
    #[n(1)]
    pub sentence: String,
}

impl From<No> for Refused {
    fn from(no: No) -> Self {
        let sentence = no.sentence.chars().filter(|c| !c.is_control()).collect::<String>();
        Self::new(no.code, "pairing.other", format!("the other side says: {sentence}"))
    }
}

impl From<&Refused> for No {
    fn from(refused: &Refused) -> Self {
        let mut sentence = refused.sentence.clone();
        sentence.truncate(sentence.floor_char_boundary(SENTENCE_BYTES_MAX));
        Self { code: refused.code, sentence }
    }
}

const FORM: Form = Form {
    purpose: Purpose::PAIRING,
    called: "a message of a pairing",
    bytes_max: MESSAGE_BYTES_MAX,
    size: "pairing.size",
    form: "pairing.form",
    signature: "pairing.signature",
    advice: "pair with a node of this version",
};

/// The side that joins, until it is answered. It never prints the nonce it is committed to.
pub struct Joining {
    key: NodeKey,
    about: About,
    nonce: Nonce,
    hello: Vec<u8>,
}

impl Joining {
    /// Begins a pairing; the caller brings the randomness.
    #[must_use]
    pub fn new(key: NodeKey, about: About, nonce: Nonce) -> Self {
        let hello = Message::Hello { about: about.clone(), commitment: commitment(&nonce) };
        let hello = seal(&key, &hello);
        Self { key, about, nonce, hello }
    }

    /// The message it begins with.
    #[must_use]
    pub fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// Takes the answer; now this side shows what it is committed to.
    ///
    /// # Errors
    /// What is wrong with the answer, or what the other side says against it.
    pub fn answer(self, welcome: &[u8]) -> Result<Joined, Refused> {
        let (peer, message) = open(welcome)?;
        let Message::Welcome { about, commitment, hello } = message else { return Err(unexpected(message)) };
        is_answer(hello, &self.hello)?;
        is_fit(&self.key, &self.about, &peer, &about)?;
        let reveal = Message::Reveal { nonce: self.nonce, answers: hash(welcome) };
        let reveal = seal(&self.key, &reveal);
        let Self { key, nonce, hello, .. } = self;
        let known = Known { key, nonce, peer, about, commitment, hello, welcome: welcome.to_vec() };
        Ok(Joined { known, reveal })
    }
}

/// What either side knows while it waits for the nonce that the other one is committed to. It never prints its own.
struct Known {
    key: NodeKey,
    nonce: Nonce,
    peer: PublicKey,
    about: About,
    commitment: ContentHash,
    hello: Vec<u8>,
    welcome: Vec<u8>,
}

impl Known {
    /// The nonce that the peer shows in answer to `sent`, if it is the one it was committed to.
    fn revealed(&self, reveal: &[u8], sent: &[u8]) -> Result<Nonce, Refused> {
        let (signer, message) = open(reveal)?;
        let Message::Reveal { nonce, answers } = message else { return Err(unexpected(message)) };
        is_of(&self.peer, &signer)?;
        is_answer(answers, sent)?;
        if commitment(&nonce) != self.commitment {
            let sentence = "the other side shows another number than the one it was committed to, as somebody in between \
                            would; pair again, on another network";
            return Err(Refused::new(Code::PairingSasMismatch, "pairing.commitment", sentence));
        }
        Ok(nonce)
    }

    /// The meeting, once both nonces are known and both sides have shown theirs, the one that joins first.
    fn meeting(self, nonces: [Nonce; 2], reveals: [&[u8]; 2]) -> Meeting {
        let code = PairingCode::of(&self.key.public(), &self.peer, &nonces);
        let transcript = hash_of_all(&[&self.hello, &self.welcome, reveals[0], reveals[1]]);
        Meeting { key: self.key, peer: self.peer, about: self.about, code, transcript }
    }
}

/// The side that joins, until the other one has shown what it is committed to.
pub struct Joined {
    known: Known,
    reveal: Vec<u8>,
}

impl Joined {
    /// The message that shows what this side was committed to.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.reveal
    }

    /// Takes what the other side shows; from here on there is a code.
    ///
    /// # Errors
    /// What is wrong with it; `PAIRING_SAS_MISMATCH` when it is not what the other side was committed to.
    pub fn meet(self, reveal: &[u8]) -> Result<Meeting, Refused> {
        let nonce = self.known.revealed(reveal, &self.reveal)?;
        let nonces = [self.known.nonce, nonce];
        Ok(self.known.meeting(nonces, [&self.reveal, reveal]))
    }
}

/// The side that accepts, until the other one has shown what it is committed to.
pub struct Hosting(Known);

impl Hosting {
    /// Takes the first message of whoever wants to join; the caller brings the randomness.
    ///
    /// # Errors
    /// What is wrong with it: form, signature, names, or another mesh.
    pub fn new(key: NodeKey, about: &About, nonce: Nonce, hello: &[u8]) -> Result<Self, Refused> {
        let (peer, message) = open(hello)?;
        let Message::Hello { about: of_peer, commitment: of_nonce } = message else {
            return Err(unexpected(message));
        };
        is_fit(&key, about, &peer, &of_peer)?;
        let welcome =
            Message::Welcome { about: about.clone(), commitment: commitment(&nonce), hello: hash(hello) };
        let welcome = seal(&key, &welcome);
        let (about, commitment, hello) = (of_peer, of_nonce, hello.to_vec());
        Ok(Self(Known { key, nonce, peer, about, commitment, hello, welcome }))
    }

    /// The answer.
    #[must_use]
    pub fn welcome(&self) -> &[u8] {
        &self.0.welcome
    }

    /// Takes what the other side shows. Gives what this side shows in return, which tells the other side the code, so that code
    /// has to be shown to a person now; and the meeting that has it.
    ///
    /// # Errors
    /// What is wrong with it; `PAIRING_SAS_MISMATCH` when it is not what the other side was committed to.
    pub fn meet(self, reveal: &[u8]) -> Result<(Vec<u8>, Meeting), Refused> {
        let known = self.0;
        let nonce = known.revealed(reveal, &known.welcome)?;
        let own = seal(&known.key, &Message::Reveal { nonce: known.nonce, answers: hash(reveal) });
        let nonces = [nonce, known.nonce];
        let meeting = known.meeting(nonces, [reveal, &own]);
        Ok((own, meeting))
    }
}

/// Two nodes that have a code. If both screens show the same one, nobody stands in between.
#[derive(Debug)]
pub struct Meeting {
    key: NodeKey,
    peer: PublicKey,
    about: About,
    code: PairingCode,
    transcript: ContentHash,
}

impl Meeting {
    /// What the screen shows.
    #[must_use]
    pub fn code(&self) -> PairingCode {
        self.code
    }

    /// The key of the other side.
    #[must_use]
    pub fn peer(&self) -> &PublicKey {
        &self.peer
    }

    /// What the other side says of itself.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// A word to the other side.
    #[must_use]
    pub fn say(&self, word: Word) -> Vec<u8> {
        seal(&self.key, &Message::Said { transcript: self.transcript, word })
    }

    /// A word of the other side.
    ///
    /// # Errors
    /// What is wrong with it: form, signature, another signer, another meeting. [`Word::No`] is none.
    pub fn hear(&self, bytes: &[u8]) -> Result<Word, Refused> {
        let (signer, message) = open(bytes)?;
        is_of(&self.peer, &signer)?;
        match message {
            Message::Said { transcript, word } if transcript == self.transcript => Ok(word),
            Message::Said { .. } => {
                let sentence = "a message of another pairing; pair again";
                Err(Refused::new(Code::SourceMismatch, "pairing.transcript", sentence))
            }
            other => Err(unexpected(other)),
        }
    }
}

/// The message that ends it before there is a code.
#[must_use]
pub fn end(key: &NodeKey, why: &Refused) -> Vec<u8> {
    seal(key, &Message::End(No::from(why)))
}

fn seal(key: &NodeKey, message: &Message) -> Vec<u8> {
    signed::seal(key, Purpose::PAIRING, canonical::encode(message))
}

fn open(bytes: &[u8]) -> Result<(PublicKey, Message), Refused> {
    let (signer, message): (PublicKey, Message) = signed::open(bytes, &FORM)?;
    match message.fault() {
        Some(fault) => Err(Refused::new(Code::InvalidParams, "pairing.content", fault)),
        None => Ok((signer, message)),
    }
}

impl Message {
    fn fault(&self) -> Option<String> {
        match self {
            Self::Hello { about, .. } | Self::Welcome { about, .. } => about.fault(),
            Self::Reveal { .. } => None,
            Self::Said { word: Word::Papers { root, certificate }, .. } => {
                let is_wrong = |der: &Vec<u8>| der.is_empty() || der.len() > CERTIFICATE_BYTES_MAX;
                let is_wrong = is_wrong(root) || is_wrong(certificate);
                is_wrong.then(|| format!("a certificate has 1 to {CERTIFICATE_BYTES_MAX} bytes; pair again"))
            }
            Self::Said { word: Word::No(no), .. } | Self::End(no) => {
                let is_wrong = no.sentence.len() > SENTENCE_BYTES_MAX;
                is_wrong.then(|| format!("a reason has at most {SENTENCE_BYTES_MAX} bytes; pair again"))
            }
            Self::Said { .. } => None,
        }
    }
}

/// Refuses what must not be paired: a node with itself, and two meshes.
fn is_fit(key: &NodeKey, own: &About, peer: &PublicKey, about: &About) -> Result<(), Refused> {
    if key.public() == *peer {
        let sentence = "this is the same node; pair it with another one";
        return Err(Refused::new(Code::InvalidParams, "pairing.self", sentence));
    }
    if own.mesh() != about.mesh() {
        let sentence = format!(
            "{} is in the mesh {:?} and {} in {:?}; name one mesh in `mesh_name` of both node.ron files",
            own.name, own.mesh_name, about.name, about.mesh_name
        );
        return Err(Refused::new(Code::MeshIdMismatch, "pairing.mesh", sentence));
    }
    Ok(())
}

fn is_of(peer: &PublicKey, signer: &PublicKey) -> Result<(), Refused> {
    if peer == signer {
        return Ok(());
    }
    let sentence = "a message that the other side has not signed; pair again, on another network";
    Err(Refused::new(Code::SourceMismatch, "pairing.signer", sentence))
}

fn is_answer(to: ContentHash, sent: &[u8]) -> Result<(), Refused> {
    if to == hash(sent) {
        return Ok(());
    }
    let sentence = "an answer to another message than the one that was sent; pair again, on another network";
    Err(Refused::new(Code::SourceMismatch, "pairing.order", sentence))
}

fn unexpected(message: Message) -> Refused {
    match message {
        Message::End(no) => no.into(),
        _ => {
            let sentence = "a message that has no place here; pair with a node of this version";
            Refused::new(Code::MalformedEnvelope, "pairing.order", sentence)
        }
    }
}

fn hash(message: &[u8]) -> ContentHash {
    ContentHash::of("pairing", message)
}

fn hash_of_all(messages: &[&[u8]]) -> ContentHash {
    // Hashes have one length, so no two rows of messages give the same bytes.
    let hashes: Vec<u8> = messages.iter().flat_map(|message| hash(message).0).collect();
    ContentHash::of("pairing/transcript", &hashes)
}

fn commitment(nonce: &Nonce) -> ContentHash {
    ContentHash::of("pairing/nonce", nonce)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(first: u8) -> NodeKey {
        NodeKey::from_secret(&std::array::from_fn(|i| first + u8::try_from(i).unwrap()))
    }

    fn about(name: &str) -> About {
        About { mesh_name: "barn".to_owned(), name: name.to_owned() }
    }

    fn joining(nonce: Nonce) -> Joining {
        Joining::new(key(0), about("pump"), nonce)
    }

    fn hosting(hello: &[u8]) -> Result<Hosting, Refused> {
        Hosting::new(key(32), &about("office"), [2; 32], hello)
    }

    /// The side that joins and the side that accepts.
    fn met() -> (Meeting, Meeting) {
        let joining = joining([1; 32]);
        let hosting = hosting(joining.hello()).unwrap();
        let joined = joining.answer(hosting.welcome()).unwrap();
        let (reveal, hosted) = hosting.meet(joined.reveal()).unwrap();
        (joined.meet(&reveal).unwrap(), hosted)
    }

    fn rule<T>(outcome: Result<T, Refused>) -> (Code, &'static str) {
        let refused = outcome.err().unwrap();
        (refused.code, refused.rule)
    }

    #[test]
    fn the_code_of_two_keys_alone_is_the_one_existing_nodes_planned() {
        let (a, b) = (key(0).public(), key(32).public());
        assert_eq!(PairingCode::of(&a, &b, &[]).to_string(), "740905");
        assert_eq!(PairingCode::of(&b, &a, &[]).to_string(), "740905");
    }

    #[test]
    fn both_sides_get_one_code_and_hear_each_other() {
        let (joined, hosted) = met();
        assert_eq!(joined.code(), hosted.code());
        assert_eq!(
            (joined.peer(), hosted.peer(), joined.about().name.as_str(), hosted.about().name.as_str()),
            (&key(32).public(), &key(0).public(), "office", "pump")
        );
        assert_eq!(hosted.hear(&joined.say(Word::Yes)), Ok(Word::Yes));
        let papers = Word::Papers { root: vec![1], certificate: vec![2] };
        assert_eq!(joined.hear(&hosted.say(papers.clone())), Ok(papers));
        assert_eq!(hosted.hear(&joined.say(Word::Kept)), Ok(Word::Kept));
    }

    #[test]
    fn a_code_is_typed_as_people_type_it() {
        let code = PairingCode(4_205);
        assert!(["004205", " 004 205", "004-205"].iter().all(|typed| code.is_typed(typed)));
        assert!(["4205", "", "yes", "004206", "0042050"].iter().all(|typed| !code.is_typed(typed)));
    }

    /// Somebody in between wants one code on both screens. Of six digits the test looks at two, so that searching is quick.
    #[test]
    fn whoever_stands_in_between_can_search_for_no_code() {
        let digits = |code: PairingCode| code.0 / 10_000;
        let (pump, office, to_office) = (key(0), key(32), key(64));
        // What existing nodes planned: with public keys alone one searches for a key, however long before.
        let planned = digits(PairingCode::of(&to_office.public(), &office.public(), &[]));
        let made = (0..2_048_u32).map(|n| {
            let mut secret = [9; 32];
            secret[..4].copy_from_slice(&n.to_be_bytes());
            NodeKey::from_secret(&secret)
        });
        let is_it =
            |to_pump: &NodeKey| digits(PairingCode::of(&pump.public(), &to_pump.public(), &[])) == planned;
        let to_pump = made.into_iter().find(is_it).unwrap();
        // Ours, at the pump: its code depends on bytes that it shows after those of the other side are committed to.
        let shown = 42;
        let at_pump = |nonce: Nonce| {
            let joining = joining(nonce);
            let middle = Hosting::new(to_pump.clone(), &about("office"), [4; 32], joining.hello()).unwrap();
            let joined = joining.answer(middle.welcome()).unwrap();
            digits(middle.meet(joined.reveal()).unwrap().1.code())
        };
        let hits = (0..64).filter(|n| at_pump([*n; 32]) == shown).count();
        assert!(hits <= 4, "{hits} of 64 nonces of the pump give what was wanted");
        // And at the office: whoever calls learns nothing of its bytes before they have shown their own.
        let middle = Joining::new(to_office.clone(), about("pump"), [3; 32]);
        let at_office =
            |nonce: Nonce| Hosting::new(key(32), &about("office"), nonce, middle.hello()).unwrap();
        for n in 0..64 {
            let welcome = at_office([n; 32]).welcome().to_vec();
            assert!(!welcome.windows(32).any(|bytes| bytes == [n; 32]), "the welcome shows the nonce");
        }
        let codes = (0..64).map(|n| {
            let middle = Joining::new(to_office.clone(), about("pump"), [3; 32]);
            let hosting = at_office([n; 32]);
            let middle = middle.answer(hosting.welcome()).unwrap();
            digits(hosting.meet(middle.reveal()).unwrap().1.code())
        });
        let hits = codes.filter(|code| *code == shown).count();
        assert!(hits <= 4, "{hits} of 64 nonces of the office give what was wanted");
    }

    #[test]
    fn a_nonce_that_is_chosen_after_the_other_one_is_seen_is_refused() {
        let honest = joining([1; 32]);
        let hosting = hosting(honest.hello()).unwrap();
        let welcome = hosting.welcome().to_vec();
        let reveal = Message::Reveal { nonce: [9; 32], answers: hash(&welcome) };
        let refused = hosting.meet(&seal(&key(0), &reveal));
        assert_eq!(rule(refused), (Code::PairingSasMismatch, "pairing.commitment"));
        let honest = honest.answer(&welcome).unwrap();
        let reveal = Message::Reveal { nonce: [9; 32], answers: hash(honest.reveal()) };
        let refused = honest.meet(&seal(&key(32), &reveal));
        assert_eq!(rule(refused), (Code::PairingSasMismatch, "pairing.commitment"));
    }

    #[test]
    fn another_key_another_meeting_and_another_order_are_refused() {
        let joining = joining([1; 32]);
        let reveal_for = |welcome: &[u8]| Message::Reveal { nonce: [1; 32], answers: hash(welcome) };
        let meet = |bytes: &dyn Fn(&Hosting) -> Vec<u8>| {
            let hosting = hosting(joining.hello()).unwrap();
            let bytes = bytes(&hosting);
            rule(hosting.meet(&bytes))
        };
        let by_another = meet(&|hosting| seal(&key(64), &reveal_for(hosting.welcome())));
        assert_eq!(by_another, (Code::SourceMismatch, "pairing.signer"));
        let to_another = meet(&|_| seal(&key(0), &reveal_for(b"another")));
        assert_eq!(to_another, (Code::SourceMismatch, "pairing.order"));
        assert_eq!(meet(&|_| joining.hello().to_vec()), (Code::MalformedEnvelope, "pairing.order"));
        let (joined, hosted) = met();
        let elsewhere = Meeting { transcript: hash(b"elsewhere"), ..met().0 };
        assert_eq!(
            rule(hosted.hear(&elsewhere.say(Word::Yes))),
            (Code::SourceMismatch, "pairing.transcript")
        );
        assert_eq!(rule(joined.hear(&joined.say(Word::Yes))), (Code::SourceMismatch, "pairing.signer"));
        let end = Refused::new(Code::PairingTimeout, "pairing.window", "too late");
        assert_eq!(rule(hosted.hear(&super::end(&key(0), &end))), (Code::PairingTimeout, "pairing.other"));
    }

    #[test]
    fn a_welcome_to_another_hello_is_refused() {
        let other = hosting(Joining::new(key(0), about("pump"), [8; 32]).hello()).unwrap();
        let refused = joining([1; 32]).answer(other.welcome());
        assert_eq!(rule(refused), (Code::SourceMismatch, "pairing.order"));
    }

    #[test]
    fn two_meshes_one_node_and_names_that_are_none_are_refused() {
        let hello = |key: NodeKey, about: About| hosting(Joining::new(key, about, [1; 32]).hello());
        let elsewhere = About { mesh_name: "field".to_owned(), name: "pump".to_owned() };
        let refused = hello(key(0), elsewhere.clone()).err().unwrap();
        assert_eq!(refused.code, Code::MeshIdMismatch);
        assert!(refused.sentence.contains("\"barn\"") && refused.sentence.contains("\"field\""), "{refused}");
        assert_eq!(rule(hello(key(32), about("pump"))), (Code::InvalidParams, "pairing.self"));
        for name in ["", " ", "a\u{7}b", &"x".repeat(65)] {
            assert_eq!(
                rule(hello(key(0), about(name))),
                (Code::InvalidParams, "pairing.content"),
                "{name:?}"
            );
        }
        let joining = Joining::new(key(0), elsewhere.clone(), [1; 32]);
        let welcome =
            Message::Welcome { about: about("office"), commitment: hash(b"x"), hello: hash(joining.hello()) };
        let refused = joining.answer(&seal(&key(32), &welcome));
        assert_eq!(rule(refused.map(drop)), (Code::MeshIdMismatch, "pairing.mesh"));
    }

    #[test]
    fn a_no_before_there_is_a_code_is_heard_as_one() {
        let why = Refused::new(Code::PairingNotActive, "pairing.window", "another one\u{7} is being paired");
        let refused = joining([1; 32]).answer(&end(&key(32), &why)).err().unwrap();
        assert_eq!(refused.code, Code::PairingNotActive);
        assert_eq!(refused.sentence, "the other side says: another one is being paired");
        let long = Refused { sentence: "ä".repeat(400), ..why };
        assert!(No::from(&long).sentence.len() <= SENTENCE_BYTES_MAX);
    }

    #[test]
    fn certificates_and_reasons_have_bounds() {
        let (joined, hosted) = met();
        for (root, certificate) in [(0, 1), (1, 0), (CERTIFICATE_BYTES_MAX + 1, 1)] {
            let papers = Word::Papers { root: vec![0; root], certificate: vec![0; certificate] };
            assert_eq!(rule(joined.hear(&hosted.say(papers))), (Code::InvalidParams, "pairing.content"));
        }
        let largest = vec![0; CERTIFICATE_BYTES_MAX];
        let papers = Word::Papers { root: largest.clone(), certificate: largest };
        assert!(joined.hear(&hosted.say(papers)).is_ok(), "two of the largest fit into a message");
        let no = No { code: Code::PairingRejected, sentence: "x".repeat(SENTENCE_BYTES_MAX + 1) };
        assert_eq!(rule(joined.hear(&hosted.say(Word::No(no)))), (Code::InvalidParams, "pairing.content"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_none_but_the_right_ones_meet(bytes: Vec<u8>, at in 0_usize..400, flip in 1_u8..=255) {
            prop_assert!(hosting(&bytes).is_err());
            let joining = joining([1; 32]);
            let mut hello = joining.hello().to_vec();
            let at = at % hello.len();
            hello[at] ^= flip;
            prop_assert!(hosting(&hello).is_err());
            prop_assert!(met().0.hear(&bytes).is_err());
        }
    }
}
