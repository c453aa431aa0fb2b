//! What people type after `clawmesh audit`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use clawmesh_authority::NodeId;
use clawmesh_authority::audit::Head;

use crate::cli::args::Output;

/// The safety log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Prove that no line of the safety log was changed, left out or moved, also while the node runs
    ///
    /// A journal that somebody has written anew from its beginning hangs together too. So write the head that this prints down somewhere
    /// else, and give it as --head the next time: then everything up to it is proved.
    Verify(VerifyArgs),
    /// Show the lines of the safety log, the newest last: what was asked, refused, ordered, done and stopped
    Show(ShowArgs),
    /// Write everything about one proposal into a file that this node signs, for somebody who does not have to believe it
    ///
    /// It holds the request and the approvals as they were signed, the evidence, the cards, the site, the policy and the people it was
    /// judged by, and its part of the safety log. Lines about other things are in it only by their hashes.
    Export(ExportArgs),
    /// Look at a file that `audit export` wrote, on any machine: every signature, hash and line is worked out anew
    Check(CheckArgs),
}

/// `audit verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The journal, or the state dir it is in [default: the journal of the state dir]
    pub journal: Option<PathBuf>,
    /// A head that was written down earlier, as NUMBER:HASH
    #[arg(long, value_name = "NUMBER:HASH", value_parser = head_of)]
    pub head: Option<Head>,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

/// `audit show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The journal, or the state dir it is in [default: the journal of the state dir]
    pub journal: Option<PathBuf>,
    /// Only the lines about one proposal, by at least 8 characters of its id
    #[arg(long, value_name = "ID")]
    pub proposal: Option<String>,
    /// At most so many lines, the newest
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub limit: usize,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

/// `audit export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The proposal, by at least 8 characters of its id
    pub proposal: String,
    /// The file to write, which must not be there yet [default: the id and .audit]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

/// `audit check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The file
    pub file: PathBuf,
    /// The id of the node that has to have signed it, 64 characters
    #[arg(long, value_name = "ID")]
    pub node: Option<NodeId>,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

fn head_of(text: &str) -> Result<Head, String> {
    let wrong =
        || format!("{text:?} is no head; write it as `clawmesh audit verify` printed it, NUMBER:HASH");
    let (number, value) = text.split_once(':').ok_or_else(wrong)?;
    let number = number.parse().map_err(|_| wrong())?;
    let value = FromStr::from_str(value).map_err(|_| wrong())?;
    Ok(Head { number, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_printed() {
        let head = Head::default();
        assert_eq!(head_of(&format!("{}:{}", head.number, head.value)), Ok(head));
        for wrong in
            ["", "1", "1:", "x:00", ":", &format!("-1:{}", head.value), &format!("1:{}0", head.value)]
        {
            assert!(head_of(wrong).is_err(), "{wrong}");
        }
    }
}
