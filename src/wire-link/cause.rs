//! Why a node that we dial is not connected, for programs to tell apart, as far as this side can see.

macro_rules! causes {
    ($($name:ident $text:literal $doc:literal;)*) => {
        /// Why a node is not connected.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Cause { $(#[doc = $doc] $name,)* }

        impl Cause {
            /// Every cause, in the order in which a dial comes to them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name for programs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

causes! {
    WayInClear "way_in_clear" "The way leaves the site in clear.";
    WayUnpinned "way_unpinned" "The way leaves the site without a pin.";
    UntrustedHere "untrusted_here" "We do not trust it.";
    NoPlace "no_place" "We have no place for one more connection.";
    Name "name" "The name of its host leads nowhere.";
    Unreached "unreached" "Nobody listens there, or no way leads there.";
    NoTls "no_tls" "Whoever listens there speaks no TLS.";
    OtherCertificate "other_certificate" "Whoever listens there shows another certificate than the pinned one, or an expired one that is not pinned.";
    NotANode "not_a_node" "Whoever listens there does not answer like a node.";
    OtherNode "other_node" "Another node answers there.";
    UntrustedThere "untrusted_there" "It does not trust us, or it has another key for us.";
    Clock "clock" "Its clock and ours are too far apart.";
    OtherMesh "other_mesh" "It is in another mesh.";
    RefusedThere "refused_there" "It has refused us for another reason.";
    Ended "ended" "It was connected, and the connection has ended.";
}

/// What went wrong with a node that we dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// For programs.
    pub cause: Cause,
    /// For people: what went wrong and what to do.
    pub sentence: String,
}
