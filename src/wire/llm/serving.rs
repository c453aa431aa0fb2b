//! The side that serves: one inference at a time, for whoever asked first, and never for longer than it may take.
//!
//! The model works somewhere else and may be stuck there. So an inference ends here by itself, each has a [`Ticket`], and what
//! the model says for a ticket that is over goes nowhere.

use std::collections::BTreeSet;
use std::time::Duration;

use super::answer::take_piece;
use super::{
    ANSWER_BYTES_MAX, CancelAnswer, CancelParams, Chunk, DELTA_BYTES_MAX, FinishReason, Finished,
    INFER_TIMEOUT, InferParams, Usage, WAITING_BYTES_MAX,
};
use crate::code::{Code, Refusal, quoted};

/// Who asked, and which call of theirs the end has to answer.
///
/// It is a connection and not a node: a node that has connected anew has asked nothing there, and its old connection has
/// ended or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The connection.
    pub connection: u64,
    /// The id of the call of `llm.infer`.
    pub call_id: String,
}

/// One inference. No two have the same ticket while a node runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// An inference has ended: answer the call, and let the model drop the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Which one.
    pub ticket: Ticket,
    /// Whom to answer.
    pub asker: Asker,
    /// What to answer.
    pub outcome: Result<Finished, Refusal>,
}

/// Why the model need not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// It ended before, and whoever asked has been told.
    Over,
    /// It ends now.
    Now(Box<Ended>),
}

/// How a model comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It has said all.
    Stop,
    /// It has said as much as it may.
    Length,
}

#[derive(Debug)]
struct Active {
    ticket: Ticket,
    asker: Asker,
    request_id: String,
    next_seq: u64,
    told_bytes: usize,
    due: Duration,
}

/// What a node serves, and for whom it does so now.
#[derive(Debug, Default)]
pub struct Serving {
    models: BTreeSet<String>,
    active: Option<Active>,
    tickets: u64,
}

impl Active {
    fn ended(self, outcome: Result<Finished, Refusal>) -> Ended {
        Ended { ticket: self.ticket, asker: self.asker, outcome }
    }

    fn finished(self, finish_reason: FinishReason, usage: Option<Usage>) -> Ended {
        let finished = Finished { request_id: self.request_id.clone(), finish_reason, usage };
        self.ended(Ok(finished))
    }

    fn refused(self, code: Code, sentence: &str) -> Ended {
        self.ended(Err(Refusal::new(code, sentence)))
    }

    fn timed_out(self) -> Ended {
        self.refused(Code::LlmTimeout, "the model was not ready within 120 s; ask for less, or try again")
    }
}

impl Serving {
    /// Serves these models from now on, by the names that are advertised. What runs goes on to its end.
    pub fn offer(&mut self, models: impl IntoIterator<Item = String>) {
        self.models = models.into_iter().collect();
    }

    /// Begins an inference that ends at the latest [`INFER_TIMEOUT`] after `elapsed`, on any clock that only goes forward.
    /// End what is [`overdue`](Self::overdue) first.
    ///
    /// # Errors
    /// The first of these that applies: `LLM_MODEL_UNAVAILABLE`, `LLM_BUSY`.
    pub fn begin(
        &mut self,
        asker: Asker,
        params: &InferParams,
        elapsed: Duration,
    ) -> Result<Ticket, Refusal> {
        if !self.models.contains(&params.model) {
            let sentence =
                format!("{} is not served here; choose one that is advertised", quoted(&params.model));
            return Err(Refusal::new(Code::LlmModelUnavailable, sentence));
        }
        if self.active.is_some() {
            let sentence = "the model answers somebody else; try again when that is done, within 120 s";
            return Err(Refusal::new(Code::LlmBusy, sentence));
        }
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.active = Some(Active {
            ticket,
            asker,
            request_id: params.request_id.clone(),
            next_seq: 0,
            told_bytes: 0,
            due: elapsed.saturating_add(INFER_TIMEOUT),
        });
        Ok(ticket)
    }

    /// Takes the next chunk off the front of what the model has said; call it until nothing is left.
    ///
    /// `waiting_bytes` is what waits to be sent to whoever asked, right now.
    ///
    /// # Errors
    /// Nothing is to be sent but, if it ends now, its end: `LLM_TIMEOUT`; `LLM_BACKPRESSURE` when more than
    /// [`WAITING_BYTES_MAX`] wait; finished by length after [`ANSWER_BYTES_MAX`].
    pub fn chunk(
        &mut self,
        ticket: Ticket,
        said: &mut &str,
        waiting_bytes: usize,
        elapsed: Duration,
    ) -> Result<Chunk, Stopped> {
        let mut active = self.active_in_time(ticket, elapsed)?;
        if waiting_bytes > WAITING_BYTES_MAX {
            let sentence = "more than 1048576 bytes wait to be read; read faster, or ask for less";
            return Err(Stopped::now(active.refused(Code::LlmBackpressure, sentence)));
        }
        let piece = take_piece(said, DELTA_BYTES_MAX);
        if active.told_bytes + piece.len() > ANSWER_BYTES_MAX {
            return Err(Stopped::now(active.finished(FinishReason::Length, None)));
        }
        let chunk =
            Chunk { request_id: active.request_id.clone(), seq: active.next_seq, delta: piece.to_owned() };
        active.next_seq += 1;
        active.told_bytes += piece.len();
        self.active = Some(active);
        Ok(chunk)
    }

    /// The model has come to its end.
    ///
    /// # Errors
    /// When it ended before, or when it comes too late: `LLM_TIMEOUT`.
    pub fn finish(
        &mut self,
        ticket: Ticket,
        finish: Finish,
        usage: Option<Usage>,
        elapsed: Duration,
    ) -> Result<Ended, Stopped> {
        let active = self.active_in_time(ticket, elapsed)?;
        let reason = match finish {
            Finish::Stop => FinishReason::Stop,
            Finish::Length => FinishReason::Length,
        };
        Ok(active.finished(reason, usage))
    }

    /// The model has failed; `sentence` is what whoever asked shall read.
    ///
    /// # Errors
    /// As [`Serving::finish`].
    pub fn fail(&mut self, ticket: Ticket, sentence: &str, elapsed: Duration) -> Result<Ended, Stopped> {
        Ok(self.active_in_time(ticket, elapsed)?.refused(Code::LlmModelUnavailable, sentence))
    }

    /// Answers `llm.cancel` of a connection: the answer, and the end of the inference.
    ///
    /// # Errors
    /// `LLM_CANCELLED` when this connection has no such inference, or none any more; whether another one has is not told.
    pub fn cancel(
        &mut self,
        connection: u64,
        params: &CancelParams,
    ) -> Result<(CancelAnswer, Ended), Refusal> {
        let is_theirs = |active: &mut Active| {
            active.asker.connection == connection && active.request_id == params.request_id
        };
        let Some(active) = self.active.take_if(is_theirs) else {
            let sentence = format!("you have no inference {} here (any more)", quoted(&params.request_id));
            return Err(Refusal::new(Code::LlmCancelled, sentence));
        };
        let answer = CancelAnswer { request_id: active.request_id.clone(), cancelled: true };
        Ok((answer, active.finished(FinishReason::Cancelled, None)))
    }

    /// A connection has ended; what it asked for ends with it, and nobody is to be told.
    pub fn connection_ended(&mut self, connection: u64) -> Option<Ticket> {
        self.active.take_if(|active| active.asker.connection == connection).map(|active| active.ticket)
    }

    /// Ends the inference that has taken too long at `elapsed`.
    pub fn overdue(&mut self, elapsed: Duration) -> Option<Ended> {
        self.active.take_if(|active| active.due <= elapsed).map(Active::timed_out)
    }

    /// When to look for an overdue inference next.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.active.as_ref().map(|active| active.due)
    }

    /// Takes the inference of this ticket out, unless it has ended; whoever goes on with it puts it back.
    fn active_in_time(&mut self, ticket: Ticket, elapsed: Duration) -> Result<Active, Stopped> {
        let active = self.active.take_if(|active| active.ticket == ticket).ok_or(Stopped::Over)?;
        match active.due <= elapsed {
            true => Err(Stopped::now(active.timed_out())),
            false => Ok(active),
        }
    }
}

impl Stopped {
    fn now(ended: Ended) -> Self {
        Self::Now(Box::new(ended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{ChatMessage, ChatRole, Receiving};
    use proptest::prelude::*;

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn asked(request_id: &str, model: &str) -> InferParams {
        let messages = vec![ChatMessage { role: ChatRole::User, content: "how dry is it?".into() }];
        InferParams {
            request_id: request_id.into(),
            model: model.into(),
            messages,
            max_tokens: None,
            temperature: None,
        }
    }

    fn asker(connection: u64) -> Asker {
        Asker { connection, call_id: format!("call-{connection}") }
    }

    fn cancel(request_id: &str) -> CancelParams {
        CancelParams { request_id: request_id.into() }
    }

    /// A node that serves `m`, and answers connection 1.
    fn serving() -> (Serving, Ticket) {
        let mut serving = Serving::default();
        serving.offer(["m".to_owned()]);
        let ticket = serving.begin(asker(1), &asked("r", "m"), after(0)).unwrap();
        (serving, ticket)
    }

    fn code(stopped: &Stopped) -> Option<Code> {
        match stopped {
            Stopped::Now(ended) => ended.outcome.as_ref().err().map(|refusal| refusal.code),
            Stopped::Over => None,
        }
    }

    #[test]
    fn what_is_not_served_is_refused_before_anything_else_and_one_is_answered_at_a_time() {
        let (mut serving, ticket) = serving();
        let refused = |serving: &mut Serving, model| {
            serving.begin(asker(2), &asked("s", model), after(1)).unwrap_err().code
        };
        assert_eq!(refused(&mut serving, "other"), Code::LlmModelUnavailable);
        assert_eq!(refused(&mut serving, "m"), Code::LlmBusy);
        let ended = serving.finish(ticket, Finish::Length, None, after(2)).unwrap();
        assert_eq!((ended.asker, ended.outcome.unwrap().finish_reason), (asker(1), FinishReason::Length));
        serving.begin(asker(2), &asked("s", "m"), after(3)).unwrap();
        serving.offer([]);
        assert_eq!(refused(&mut serving, "m"), Code::LlmModelUnavailable);
    }

    #[test]
    fn a_stuck_model_ends_after_two_minutes_and_blocks_nobody_after_that() {
        let (mut serving, stuck) = serving();
        assert_eq!(serving.next_due(), Some(after(120)));
        assert_eq!(serving.overdue(after(120) - Duration::from_nanos(1)), None);
        let ended = serving.overdue(after(120)).unwrap();
        assert_eq!((ended.asker, ended.outcome.unwrap_err().code), (asker(1), Code::LlmTimeout));
        assert_eq!(serving.next_due(), None);
        let next = serving.begin(asker(2), &asked("r", "m"), after(121)).unwrap();
        let late = serving.chunk(stuck, &mut "late", 0, after(122));
        assert_eq!(late, Err(Stopped::Over), "what comes late reaches nobody, under the same name neither");
        assert_eq!(serving.finish(stuck, Finish::Stop, None, after(122)), Err(Stopped::Over));
        assert_eq!(serving.chunk(next, &mut "new", 0, after(122)).unwrap().seq, 0);
    }

    #[test]
    fn time_decides_also_when_nobody_has_looked() {
        let (mut serving, ticket) = serving();
        let stopped = serving.chunk(ticket, &mut "late", 0, after(120)).unwrap_err();
        assert_eq!(code(&stopped), Some(Code::LlmTimeout));
        let ticket = serving.begin(asker(1), &asked("r", "m"), after(200)).unwrap();
        let stopped = serving.finish(ticket, Finish::Stop, None, after(320)).unwrap_err();
        assert_eq!(code(&stopped), Some(Code::LlmTimeout));
    }

    #[test]
    fn more_than_the_bound_waiting_ends_it_and_sends_nothing() {
        let (mut serving, ticket) = serving();
        assert!(serving.chunk(ticket, &mut "a", WAITING_BYTES_MAX, after(1)).is_ok());
        let stopped = serving.chunk(ticket, &mut "b", WAITING_BYTES_MAX + 1, after(1)).unwrap_err();
        assert_eq!(code(&stopped), Some(Code::LlmBackpressure));
        assert_eq!(serving.chunk(ticket, &mut "c", 0, after(1)), Err(Stopped::Over));
    }

    #[test]
    fn only_who_asked_cancels_and_only_once() {
        let (mut serving, ticket) = serving();
        for (connection, request_id) in [(2, "r"), (1, "s")] {
            let refusal = serving.cancel(connection, &cancel(request_id)).unwrap_err();
            assert_eq!(refusal.code, Code::LlmCancelled, "{connection} {request_id}");
        }
        assert!(serving.chunk(ticket, &mut "still there", 0, after(1)).is_ok());
        let (answer, ended) = serving.cancel(1, &cancel("r")).unwrap();
        assert!(answer.cancelled);
        assert_eq!(ended.outcome.unwrap().finish_reason, FinishReason::Cancelled);
        assert_eq!(serving.cancel(1, &cancel("r")).unwrap_err().code, Code::LlmCancelled);
        assert_eq!(serving.chunk(ticket, &mut "on", 0, after(1)), Err(Stopped::Over));
    }

    #[test]
    fn whoever_goes_takes_the_question_along_and_nobody_elses() {
        let (mut serving, ticket) = serving();
        assert_eq!(serving.connection_ended(2), None);
        assert_eq!(serving.connection_ended(1), Some(ticket));
        assert_eq!(serving.chunk(ticket, &mut "on", 0, after(1)), Err(Stopped::Over));
        assert!(serving.begin(asker(2), &asked("r", "m"), after(1)).is_ok());
    }

    #[test]
    fn a_model_that_fails_says_so_and_one_that_never_ends_is_cut() {
        let (mut serving, ticket) = serving();
        let ended = serving.fail(ticket, "the provider is down; try later", after(1)).unwrap();
        assert_eq!(ended.outcome.unwrap_err().code, Code::LlmModelUnavailable);
        let ticket = serving.begin(asker(1), &asked("r", "m"), after(1)).unwrap();
        let (text, mut bytes) = ("x".repeat(2 * ANSWER_BYTES_MAX), 0);
        let mut rest = &*text;
        let stopped = (0..1_000).find_map(|_| {
            let chunk = serving.chunk(ticket, &mut rest, 0, after(1));
            chunk.map(|chunk| bytes += chunk.delta.len()).err()
        });
        assert_eq!(bytes, ANSWER_BYTES_MAX);
        let Some(Stopped::Now(ended)) = stopped else { panic!() };
        assert_eq!(ended.outcome.unwrap().finish_reason, FinishReason::Length);
    }

    proptest! {
        #[test]
        fn whoever_asked_reads_what_the_model_said(said in prop::collection::vec("[aé€🌱]{0,9}", 0..20), times in 1_usize..900) {
            let (mut serving, ticket) = serving();
            let (mut receiving, said) = (Receiving::new("r"), said.iter().map(|part| part.repeat(times)));
            let said: Vec<String> = said.collect();
            let mut seq = 0;
            for part in &said {
                let mut rest = &**part;
                while !rest.is_empty() {
                    let chunk = serving.chunk(ticket, &mut rest, 0, after(1)).unwrap();
                    prop_assert!(chunk.seq == seq && (1..=DELTA_BYTES_MAX).contains(&chunk.delta.len()));
                    seq += 1;
                    receiving.hear(&chunk).unwrap();
                }
            }
            let ended = serving.finish(ticket, Finish::Stop, None, after(2)).unwrap();
            let inferred = receiving.finish(&ended.outcome.unwrap()).unwrap();
            prop_assert_eq!(inferred.text, said.concat());
        }
    }
}
