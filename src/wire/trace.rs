//! `mesh.trace`: what followed from what: a frame and where it came from, a proposal and what became of it.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::code::{Code, Refusal, quoted};
use crate::context::NAME_BYTES_MAX;
use crate::fields::Fields;

/// The most chains of one answer.
pub const CHAINS_MAX: usize = 20;
/// The stage at which a frame came in.
pub const INGEST: &str = "sensor.ingest";
/// The stage at which a proposal was made.
pub const CREATED: &str = "proposal.created";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceQuery {
    /// The chain of one frame, or of one proposal by its task id.
    Chain(String),
    /// The newest chains that have come to this stage.
    Stage(String),
    /// How many chains there are.
    Count,
}

impl TraceQuery {
    /// Reads the parameters; a name counts more than a stage, and none at all asks for the count.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, naming the field.
    pub fn read(params: Option<&RawValue>) -> Result<Self, Refusal> {
        let Some(params) = params else { return Ok(Self::Count) };
        let fields = Fields::read(params, "mesh.trace", Code::InvalidParams)?;
        let text = |name| fields.text(name, NAME_BYTES_MAX).map(|text| text.map(|text| text.into_owned()));
        Ok(match (text("frameId")?, text("stage")?) {
            (Some(name), _) => Self::Chain(name),
            (None, Some(stage)) => Self::Stage(stage),
            (None, None) => Self::Count,
        })
    }
}

/// One step of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What happened, as one word.
    pub stage: String,
    /// When, Unix milliseconds.
    pub timestamp: u64,
    /// Where.
    pub device_id: String,
    /// What happened, for people.
    pub note: String,
}

/// What followed from one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// The frame or the proposal.
    pub frame_id: String,
    /// Its steps, oldest first.
    pub steps: Vec<Step>,
}

impl Chain {
    /// For people: a line for each step.
    #[must_use]
    pub fn formatted(&self) -> String {
        let lines = self.steps.iter().map(|step| format!("{} {} {}", step.timestamp, step.stage, step.note));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn newest_ms(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.timestamp)
    }
}

/// What `mesh.trace` answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum TraceAnswer {
    /// One chain.
    #[serde(rename_all = "camelCase")]
    One {
        /// The chain.
        chain: Chain,
        /// The same for people.
        formatted: String,
    },
    /// The newest chains.
    Some {
        /// At most [`CHAINS_MAX`], the newest first.
        chains: Vec<Chain>,
        /// How many there are.
        total: usize,
    },
    /// How many chains there are.
    #[serde(rename_all = "camelCase")]
    Count {
        /// So many.
        tracked_chains: usize,
    },
}

/// Answers a question from all chains there are.
///
/// # Errors
/// `NOT_FOUND` for a frame or proposal that nobody knows any more.
pub fn answer(query: &TraceQuery, mut chains: impl Iterator<Item = Chain>) -> Result<TraceAnswer, Refusal> {
    match query {
        TraceQuery::Count => Ok(TraceAnswer::Count { tracked_chains: chains.count() }),
        TraceQuery::Chain(name) => {
            let unknown = || {
                let sentence = format!("no frame and no proposal is known as {}", quoted(name));
                Refusal::new(Code::NotFound, sentence)
            };
            let chain = chains.find(|chain| chain.frame_id == *name).ok_or_else(unknown)?;
            let formatted = chain.formatted();
            Ok(TraceAnswer::One { chain, formatted })
        }
        TraceQuery::Stage(stage) => {
            let mut chains: Vec<Chain> =
                chains.filter(|chain| chain.steps.iter().any(|step| step.stage == *stage)).collect();
            let total = chains.len();
            chains.sort_by_key(|chain| std::cmp::Reverse(chain.newest_ms()));
            chains.truncate(CHAINS_MAX);
            Ok(TraceAnswer::Some { chains, total })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn chain(n: u64, stages: &[&str]) -> Chain {
        let step = |(at, stage): (usize, &&str)| Step {
            stage: (*stage).to_owned(),
            timestamp: 1_000 * n + at as u64,
            device_id: "d".to_owned(),
            note: "so".to_owned(),
        };
        Chain { frame_id: format!("f{n}"), steps: stages.iter().enumerate().map(step).collect() }
    }

    fn asked(params: &Value) -> Result<Value, Refusal> {
        let all = (0..30).map(|n| chain(n, &[INGEST])).chain([chain(99, &[CREATED, "proposal.rejected"])]);
        let query = TraceQuery::read(Some(&serde_json::value::to_raw_value(params).unwrap()))?;
        answer(&query, all).map(|answer| serde_json::to_value(answer).unwrap())
    }

    #[test]
    fn each_question_has_its_answer() {
        assert_eq!(asked(&json!({})).unwrap(), json!({"trackedChains": 31}));
        let one = asked(&json!({"frameId": "f99", "stage": INGEST})).unwrap();
        assert_eq!(one["chain"]["steps"][1]["stage"], "proposal.rejected");
        assert_eq!(one["formatted"], "99000 proposal.created so\n99001 proposal.rejected so");
        let some = asked(&json!({"stage": INGEST})).unwrap();
        assert_eq!(
            (some["total"].clone(), some["chains"].as_array().unwrap().len()),
            (json!(30), CHAINS_MAX)
        );
        assert_eq!(some["chains"][0]["frameId"], "f29", "the newest first");
        assert_eq!(asked(&json!({"stage": "nothing"})).unwrap(), json!({"chains": [], "total": 0}));
    }

    #[test]
    fn what_nobody_knows_and_what_makes_no_sense_is_refused() {
        let unknown = asked(&json!({"frameId": "nowhere"})).unwrap_err();
        assert!(unknown.code == Code::NotFound && unknown.message.contains("nowhere"), "{unknown}");
        for field in ["frameId", "stage"] {
            for wrong in [json!(5), json!("x".repeat(500))] {
                let refusal = asked(&json!({ field: wrong })).unwrap_err();
                assert!(refusal.code == Code::InvalidParams && refusal.message.contains(field), "{refusal}");
            }
        }
        assert_eq!(TraceQuery::read(None).unwrap(), TraceQuery::Count);
    }
}
