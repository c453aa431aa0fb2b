//! Which methods there are, and who may call them. Nothing but the handshake and what is judged by itself is open to all.

use clawmesh_authority::NodeRole;

use crate::code::{Code, Refusal, quoted};
use crate::gate::Rights;

/// Who is on the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Nobody has shown who they are.
    Stranger,
    /// A program on this machine that has shown nothing: it may look, as whoever can run programs here could anyway.
    Local,
    /// A trusted node, after its handshake, with the role it says it has.
    Peer(NodeRole),
    /// A person who has shown that they operate this node.
    Operator,
}

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody: it is how one becomes somebody, or it judges by itself who asks.
    Everybody,
    /// Trusted nodes and operators.
    Peers,
    /// Operators.
    Operators,
}

macro_rules! methods {
    ($($name:ident $text:literal $access:ident $doc:literal;)*) => {
        /// Every method of the protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Method { $(#[doc = $doc] $name,)* }

        impl Method {
            /// Every method, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Who may call it.
            #[must_use]
            pub fn access(self) -> Access {
                match self { $(Self::$name => Access::$access,)* }
            }
        }
    };
}

methods! {
    Challenge "mesh.challenge" Everybody "Asks for a number to sign.";
    Connect "mesh.connect" Everybody "Shows who one is.";
    Forward "mesh.message.forward" Everybody "Sends a message or a command; the gate judges it, and then who asks.";
    Peers "mesh.peers" Peers "Who is connected.";
    Status "mesh.status" Peers "How the node stands.";
    Health "mesh.health" Peers "How well it is.";
    WorldQuery "mesh.world.query" Peers "What it knows.";
    Events "mesh.events" Peers "What has happened.";
    Trace "mesh.trace" Peers "What followed from what.";
    ContextSync "context.sync" Peers "Frames that were missed.";
    MockState "clawmesh.mock.actuator.state" Peers "How the stand-in actuator stands.";
    LlmInfer "llm.infer" Peers "Asks the model of this node.";
    LlmCancel "llm.cancel" Peers "Ends such a question.";
    ChatSubscribe "chat.subscribe" Operators "Follows the talk with the planner.";
    ProposalApprove "chat.proposal.approve" Everybody "Asks how to say yes to a proposal; the yes itself is a signature.";
    ProposalReject "chat.proposal.reject" Everybody "Asks how to say no to a proposal.";
}

impl Method {
    /// The method with this name.
    ///
    /// # Errors
    /// `UNKNOWN_METHOD`.
    pub fn of_name(name: &str) -> Result<Self, Refusal> {
        let unknown =
            || Refusal::new(Code::UnknownMethod, format!("there is no method {} here", quoted(name)));
        Self::ALL.iter().copied().find(|method| method.as_str() == name).ok_or_else(unknown)
    }

    /// True when a call of it only looks: it moves nothing, tells nobody, and no model works for it.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(
            self,
            Self::Peers
                | Self::Status
                | Self::Health
                | Self::WorldQuery
                | Self::Events
                | Self::Trace
                | Self::ContextSync
                | Self::MockState
        )
    }

    /// Whether `caller` may call it.
    ///
    /// # Errors
    /// `NOT_AUTHORIZED`.
    pub fn open_to(self, caller: Caller) -> Result<(), Refusal> {
        let sentence = match (self.access(), caller) {
            (Access::Everybody, _) | (_, Caller::Operator) | (Access::Peers, Caller::Peer(_)) => {
                return Ok(());
            }
            (Access::Peers, Caller::Local) if self.is_read() => return Ok(()),
            (Access::Peers, Caller::Stranger | Caller::Local) => {
                "is for trusted nodes and operators; connect first"
            }
            (Access::Operators, _) => "is for operators; show the operator token",
        };
        Err(Refusal::new(Code::NotAuthorized, format!("{} {sentence}", self.as_str())))
    }
}

impl Caller {
    /// What whoever calls may ask the gate for.
    #[must_use]
    pub fn rights(self) -> Rights {
        match self {
            Self::Stranger | Self::Local => Rights::STRANGER,
            Self::Peer(role) => Rights::of_peer(role),
            Self::Operator => Rights::OPERATOR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYBODYS: [Method; 5] = [
        Method::Challenge,
        Method::Connect,
        Method::Forward,
        Method::ProposalApprove,
        Method::ProposalReject,
    ];

    #[test]
    fn every_method_is_found_by_its_name_and_no_other() {
        for method in Method::ALL {
            assert_eq!(Method::of_name(method.as_str()), Ok(*method));
        }
        for unknown in ["", "mesh.ping", "MESH.HEALTH", "operator.intent"] {
            assert_eq!(Method::of_name(unknown).unwrap_err().code, Code::UnknownMethod, "{unknown}");
        }
    }

    #[test]
    fn a_stranger_may_connect_and_be_judged_and_nothing_else() {
        let open = |caller| -> Vec<Method> {
            Method::ALL.iter().copied().filter(|method| method.open_to(caller).is_ok()).collect()
        };
        assert_eq!(open(Caller::Stranger), EVERYBODYS);
        assert_eq!(open(Caller::Operator), Method::ALL);
        let closed_to_peers: Vec<Method> = Method::ALL
            .iter()
            .copied()
            .filter(|method| method.open_to(Caller::Peer(NodeRole::Planner)).is_err())
            .collect();
        assert_eq!(closed_to_peers, [Method::ChatSubscribe]);
        let refusal = Method::Health.open_to(Caller::Stranger).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "NOT_AUTHORIZED: mesh.health is for trusted nodes and operators; connect first"
        );
    }

    #[test]
    fn a_program_on_this_machine_may_look_and_neither_speak_nor_think() {
        let open: Vec<Method> =
            Method::ALL.iter().copied().filter(|method| method.open_to(Caller::Local).is_ok()).collect();
        let everybody = |method: &Method| method.access() == Access::Everybody;
        let (open, looks): (Vec<Method>, Vec<Method>) = open.into_iter().partition(everybody);
        assert_eq!(open, EVERYBODYS);
        assert!(looks.iter().all(|method| method.is_read()) && looks.contains(&Method::Health), "{looks:?}");
        for closed in [Method::LlmInfer, Method::LlmCancel, Method::ChatSubscribe] {
            assert_eq!(closed.open_to(Caller::Local).unwrap_err().code, Code::NotAuthorized, "{closed:?}");
        }
        assert_eq!(Caller::Local.rights(), Rights::STRANGER);
    }

    #[test]
    fn rights_grow_from_stranger_to_operator() {
        assert_eq!(Caller::Stranger.rights(), Rights::STRANGER);
        assert!(!Caller::Peer(NodeRole::Viewer).rights().may_actuate);
        assert!(Caller::Peer(NodeRole::Field).rights().may_actuate);
        assert_eq!(Caller::Operator.rights(), Rights::OPERATOR);
    }
}
