//! What a node keeps on disk about itself, what people tell it there, and the key file of a person.
//! Reads the state dir, its files and the environment. Writes the state dir and that key file, whole files at once.
//! Invariant: a file we cannot understand is an error with the repair in it, never replaced; the environment
//! is read here and nowhere else.
//! Not here: the journal (`storage`), what the settings mean (the modes), the parsing of flags (`cli`).

pub mod backup;
pub mod certificate;
pub mod credentials_file;
pub mod durable_file;
pub mod epoch;
pub mod error;
pub mod farm;
pub mod gateways_file;
pub mod identity;
pub mod kept_list;
pub mod key_file;
pub mod node_file;
pub mod openssh_key;
pub mod operator_key;
pub mod operators_file;
pub mod papers;
pub mod plant_file;
pub mod policy_file;
pub mod restored_file;
pub mod ron_marks;
pub mod ron_text;
pub mod settings;
pub mod site_file;
pub mod ssh_agent;
pub mod state_dir;
pub mod stop_file;
pub mod token;
pub mod trust_file;
