//! Who may say what under which key over an encrypted link, as zenoh asks before it takes a message from the link or puts one on
//! it. Pure.
//!
//! zenoh knows a link by the name in the certificate of the node at its other end, and that is all it knows: what comes over
//! several links comes by the last of them. So a node may speak under its own key, and only whoever people here call a relay or
//! a router brings what others say. Whatever passes is judged at the envelope all the same; what does not, costs nobody a budget.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::{MeshId, NodeId};
use serde_json::{Value, json};

use crate::config::{Part, ZenohMode};
use crate::keys;
use crate::links::SOCKET;

const EVERYTHING: [&str; 9] = [
    "put",
    "delete",
    "declare_subscriber",
    "query",
    "declare_queryable",
    "reply",
    "liveliness_token",
    "declare_liveliness_subscriber",
    "liveliness_query",
];

/// Everything the rules follow from.
pub struct Audience<'a> {
    /// The mesh.
    pub mesh: MeshId,
    /// The node at this end; none for a router, which is nobody.
    pub own: Option<NodeId>,
    /// What this end is on zenoh.
    pub mode: ZenohMode,
    /// The nodes whose statements are taken.
    pub trusted: &'a BTreeSet<NodeId>,
    /// What they and the routers are for the links; who is not named here is a node that speaks for itself.
    pub parts: &'a BTreeMap<NodeId, Part>,
    /// What programs of this machine say.
    pub samples: &'a BTreeSet<&'a str>,
}

impl Audience<'_> {
    /// The rules as zenoh takes them.
    pub fn rules(&self) -> Value {
        let mut list = List::default();
        self.add_common(&mut list);
        if let Some(own) = self.own {
            self.add_strangers(own, &mut list);
        }
        let routers = self.parts.iter().filter(|(_, part)| **part == Part::Router).map(|(node, _)| node);
        let known: BTreeSet<NodeId> = self.trusted.iter().chain(routers).copied().collect();
        for node in known.into_iter().filter(|node| Some(*node) != self.own) {
            self.add_neighbour(node, &mut list);
        }
        self.add_samples(&mut list);
        list.into_json()
    }

    fn add_common(&self, list: &mut List) {
        list.allow("say", "egress", &EVERYTHING, &[keys::of_mesh(self.mesh)]);
        list.allow("bring", "ingress", &EVERYTHING, &[keys::of_mesh(self.mesh)]);
        // Also to others: whoever is linked to a peer or a router alone asks them through it.
        list.allow("ask", "ingress", &["query"], &[keys::calls_of_all(self.mesh)]);
        list.allow("listen", "ingress", &["declare_subscriber"], &[keys::readings_of_all(self.mesh)]);
        let watching = ["declare_liveliness_subscriber", "liveliness_query"];
        list.allow("watch", "ingress", &watching, &[keys::alive_of_all(self.mesh)]);
    }

    /// Whoever has papers of the mesh may ask us, and say something under a name that nobody here trusts: it is refused at the
    /// envelope, and counted, so that people see that somebody is not trusted yet. A router lets none of that pass to others.
    fn add_strangers(&self, own: NodeId, list: &mut List) {
        list.subject(json!({"id": "encrypted", "link_protocols": ["tls", "quic"]}));
        list.allow("ask us", "ingress", &["query"], &[keys::calls_of(self.mesh, own)]);
        list.allow("answer", "egress", &["reply"], &[keys::calls_of(self.mesh, own)]);
        let mut rules = vec!["ask us".to_owned(), "answer".to_owned()];
        if self.mode != ZenohMode::Router {
            let taken = self.trusted.iter().chain([&own]).map(|node| keys::of_node(self.mesh, *node));
            list.allow("be judged", "ingress", &["put"], &[keys::of_mesh(self.mesh)]);
            list.rule("deny", "speak for nobody else", "ingress", &["put"], &taken.collect::<Vec<_>>());
            rules.extend(["be judged".to_owned(), "speak for nobody else".to_owned()]);
        }
        list.policy(&rules, &["encrypted".to_owned()]);
    }

    fn add_neighbour(&self, node: NodeId, list: &mut List) {
        let name = node.to_string();
        list.subject(json!({"id": name, "cert_common_names": [name]}));
        let part = self.parts.get(&node).copied().unwrap_or_default();
        // A client has one link, so whatever others say comes by it.
        if matches!(part, Part::Relay | Part::Router) || self.mode == ZenohMode::Client {
            return list.policy(&["say", "bring"].map(str::to_owned), &[name]);
        }
        let [reads, serves, lives] = ["reads", "serves", "lives"].map(|does| format!("{name} {does}"));
        let mut rules = ["say", "ask", "listen", "watch"].map(str::to_owned).to_vec();
        list.allow(&serves, "ingress", &["declare_queryable", "reply"], &[keys::calls_of(self.mesh, node)]);
        list.allow(&lives, "ingress", &["liveliness_token"], &[keys::alive(self.mesh, node)]);
        rules.extend([serves, lives]);
        if part != Part::Viewer {
            list.allow(&reads, "ingress", &["put"], &[keys::readings_of(self.mesh, node)]);
            rules.push(reads);
        }
        list.policy(&rules, &[name]);
    }

    /// Programs of this machine say their samples without a certificate, and nothing else.
    fn add_samples(&self, list: &mut List) {
        let samples: Vec<String> = self.samples.iter().map(|key_expr| (*key_expr).to_owned()).collect();
        if samples.is_empty() {
            return;
        }
        list.allow("take samples", "ingress", &["put", "delete"], &samples);
        list.allow("ask for samples", "egress", &["declare_subscriber"], &samples);
        // The names that Linux and macOS have for it.
        list.subject(json!({"id": "loopback", "interfaces": ["lo", "lo0"], "link_protocols": ["tcp"]}));
        list.subject(json!({"id": "socket", "link_protocols": [SOCKET]}));
        let rules = ["take samples", "ask for samples"].map(str::to_owned);
        list.policy(&rules, &["loopback", "socket"].map(str::to_owned));
    }
}

/// The three lists that zenoh wants.
#[derive(Default)]
struct List {
    rules: Vec<Value>,
    subjects: Vec<Value>,
    policies: Vec<Value>,
}

impl List {
    fn allow(&mut self, id: &str, flow: &str, messages: &[&str], key_exprs: &[String]) {
        self.rule("allow", id, flow, messages, key_exprs);
    }

    fn rule(&mut self, permission: &str, id: &str, flow: &str, messages: &[&str], key_exprs: &[String]) {
        self.rules.push(json!({
            "id": id, "permission": permission, "flows": [flow], "messages": messages, "key_exprs": key_exprs,
        }));
    }

    fn subject(&mut self, subject: Value) {
        self.subjects.push(subject);
    }

    fn policy(&mut self, rules: &[String], subjects: &[String]) {
        self.policies.push(json!({"rules": rules, "subjects": subjects}));
    }

    fn into_json(self) -> Value {
        let Self { rules, subjects, policies } = self;
        json!({
            "enabled": true, "default_permission": "deny", "rules": rules, "subjects": subjects, "policies": policies,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn mesh() -> MeshId {
        MeshId::of_name("barn")
    }

    /// The rules of node 1, which trusts 2 (a plain node), 3 (a viewer) and 4 (a relay), and knows router 5.
    fn rules(mode: ZenohMode, own: Option<NodeId>) -> Value {
        let trusted = BTreeSet::from([2, 3, 4].map(node));
        let parts =
            BTreeMap::from([(node(3), Part::Viewer), (node(4), Part::Relay), (node(5), Part::Router)]);
        let samples = BTreeSet::new();
        Audience { mesh: mesh(), own, mode, trusted: &trusted, parts: &parts, samples: &samples }.rules()
    }

    /// Whether the link of a node with this name in its certificate takes the message in, as zenoh decides: one subject that
    /// allows it is enough, and of one subject a denial counts more.
    fn takes(rules: &Value, name: NodeId, message: &str, key: &str) -> bool {
        let texts = |value: &Value| -> Vec<String> {
            let list = value.as_array().cloned().unwrap_or_default();
            list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        };
        let key = zenoh::key_expr::KeyExpr::try_from(key).unwrap();
        let policies = rules["policies"].as_array().unwrap();
        rules["subjects"].as_array().unwrap().iter().any(|subject| {
            let names = texts(&subject["cert_common_names"]);
            if !(names.is_empty() || names.contains(&name.to_string())) {
                return false;
            }
            let id = subject["id"].as_str().unwrap().to_owned();
            let of_subject = policies.iter().filter(|policy| texts(&policy["subjects"]).contains(&id));
            let wanted: Vec<String> = of_subject.flat_map(|policy| texts(&policy["rules"])).collect();
            let says = |permission: &str| {
                rules["rules"].as_array().unwrap().iter().any(|rule| {
                    let is_meant = wanted.contains(&rule["id"].as_str().unwrap().to_owned())
                        && rule["permission"] == permission
                        && texts(&rule["flows"]).contains(&"ingress".to_owned())
                        && texts(&rule["messages"]).contains(&message.to_owned());
                    let includes =
                        |text: &String| zenoh::key_expr::keyexpr::new(text).unwrap().includes(&key);
                    is_meant && texts(&rule["key_exprs"]).iter().any(includes)
                })
            };
            says("allow") && !says("deny")
        })
    }

    #[test]
    fn a_node_speaks_under_its_own_key_and_a_relay_under_every_one() {
        let rules = rules(ZenohMode::Peer, Some(node(1)));
        let puts =
            |name: u8, under: u8| takes(&rules, node(name), "put", &keys::reading_batch(mesh(), node(under)));
        let lives = |name: u8, under: u8| {
            takes(&rules, node(name), "liveliness_token", &keys::alive(mesh(), node(under)))
        };
        for (name, under, is_put, is_alive) in [
            (2, 2, true, true),
            (2, 4, false, false),
            (2, 1, false, false),
            // A viewer is there, and says no readings.
            (3, 3, false, true),
            (3, 2, false, false),
            (4, 4, true, true),
            (4, 2, true, true),
            (5, 2, true, true),
            // Somebody whom nobody here trusts is judged at the envelope under a name that is not trusted, and is not seen.
            (9, 9, true, false),
            (9, 2, false, false),
            (9, 1, false, false),
        ] {
            assert_eq!((puts(name, under), lives(name, under)), (is_put, is_alive), "{name} under {under}");
        }
    }

    #[test]
    fn whoever_is_trusted_asks_everybody_and_answers_for_itself() {
        let rules = rules(ZenohMode::Peer, Some(node(1)));
        let calls = |name: u8, message: &str, of: u8| {
            takes(&rules, node(name), message, &keys::deliver(mesh(), node(of)))
        };
        for (name, of, asks, answers) in [
            (2, 1, true, false),
            (2, 2, true, true),
            (2, 4, true, false),
            (3, 1, true, false),
            (4, 2, true, true),
            (9, 1, true, false),
            (9, 2, false, false),
        ] {
            assert_eq!(calls(name, "query", of), asks, "{name} asks {of}");
            assert_eq!(calls(name, "reply", of), answers, "{name} answers for {of}");
            assert_eq!(calls(name, "declare_queryable", of), answers, "{name} serves as {of}");
        }
    }

    #[test]
    fn a_router_takes_nothing_of_strangers_and_a_client_all_that_its_one_link_brings() {
        let put = |rules: &Value, name: u8, under: u8| {
            takes(rules, node(name), "put", &keys::reading_batch(mesh(), node(under)))
        };
        let router = rules(ZenohMode::Router, Some(node(1)));
        assert!(put(&router, 2, 2) && !put(&router, 2, 4) && !put(&router, 9, 9));
        let stock = rules(ZenohMode::Router, None);
        assert!(put(&stock, 2, 2) && !put(&stock, 2, 4) && !put(&stock, 9, 9) && put(&stock, 5, 2));
        let client = rules(ZenohMode::Client, Some(node(1)));
        assert!(put(&client, 2, 4) && !put(&client, 9, 2));
    }

    #[test]
    fn who_trusts_nobody_says_nothing_to_anybody() {
        let nobody = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        let audience = Audience {
            mesh: mesh(),
            own: Some(node(1)),
            mode: ZenohMode::Peer,
            trusted: &nobody.0,
            parts: &nobody.1,
            samples: &nobody.2,
        };
        let rules = audience.rules();
        assert_eq!(rules["default_permission"], "deny");
        let policies = rules["policies"].as_array().unwrap();
        assert!(policies.iter().all(|policy| !policy["rules"].as_array().unwrap().contains(&json!("say"))));
    }
}
