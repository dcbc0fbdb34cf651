//! How long a connection may keep the server waiting.

use std::time::Instant;

use super::activity::Activity;
use super::limits::{
    ENDING_TIMEOUT, IDLE_TIMEOUT, LEAST_PROGRESS, LONGEST_ENDING, LONGEST_STALL, OPENING_TIMEOUT,
    STALL_TIMEOUT,
};

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    /// It should end as soon as nothing is under way.
    End,
    /// It ends now.
    CutOff,
}

/// When a connection last took what it was sent.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    written: u64,
    progressed: Option<Instant>,
}

impl Deadlines {
    /// Judges a connection; to be asked about once a second.
    pub(super) fn verdict(&mut self, activity: &Activity, now: Instant) -> Verdict {
        let written = activity.bytes_written();
        if written.saturating_sub(self.written) >= LEAST_PROGRESS {
            (self.written, self.progressed) = (written, Some(now));
        }
        let is_stalled = |since: Instant| {
            let progressed = self.progressed.map_or(since, |at| at.max(since));
            now.saturating_duration_since(progressed) >= STALL_TIMEOUT
        };
        // Of several answers (HTTP/2), that others are taken or asked for excuses none.
        if let Some(since) = activity.unread_since()
            && (is_stalled(since) || now.saturating_duration_since(since) >= LONGEST_STALL)
        {
            return Verdict::CutOff;
        }
        let Some(since) = activity.waiting_since() else {
            return Verdict::GoOn;
        };
        let waited = now.saturating_duration_since(since);
        let is_stalled = is_stalled(since);
        if activity.is_answer_under_way() {
            return if is_stalled {
                Verdict::CutOff
            } else {
                Verdict::GoOn
            };
        }
        let allowed = if activity.had_requests() {
            IDLE_TIMEOUT
        } else {
            OPENING_TIMEOUT
        };
        match waited.checked_sub(allowed) {
            None => Verdict::GoOn,
            Some(over) if over < ENDING_TIMEOUT => Verdict::End,
            Some(over) if is_stalled || over >= LONGEST_ENDING => Verdict::CutOff,
            Some(_) => Verdict::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use axum::body::Body;
    use futures_util::FutureExt as _;
    use http_body::Frame;
    use http_body_util::BodyExt as _;

    use super::super::activity::{AnswerPart, Exchange};
    use super::*;

    /// What is left to write once an answer was made.
    fn answered(activity: &Arc<Activity>) -> Frame<AnswerPart> {
        let mut answer = Exchange::begin(activity).answer(Body::from("x"));
        let frame = answer.frame().now_or_never().flatten();
        frame.unwrap().unwrap()
    }

    /// What is decided so many seconds after now.
    fn verdicts(activity: &Activity, seconds: &[u64]) -> Vec<Verdict> {
        let (mut deadlines, now) = (Deadlines::default(), Instant::now());
        seconds
            .iter()
            .map(|seconds| deadlines.verdict(activity, now + Duration::from_secs(*seconds)))
            .collect()
    }

    #[test]
    fn a_connection_without_a_request_has_to_begin_one_or_end() {
        use Verdict::{CutOff, End, GoOn};
        let activity = Arc::new(Activity::new(Instant::now()));
        assert_eq!(
            verdicts(&activity, &[1, 9, 11, 14, 16]),
            [GoOn, GoOn, End, End, CutOff]
        );
        drop(Exchange::begin(&activity));
        assert_eq!(
            verdicts(&activity, &[16, 29, 31, 36]),
            [GoOn, GoOn, End, CutOff]
        );
    }

    #[test]
    fn each_answer_has_a_deadline_of_its_own() {
        use Verdict::{CutOff, GoOn};
        let activity = Arc::new(Activity::new(Instant::now()));
        let _unread = answered(&activity);
        let since = activity.unread_since().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        drop(answered(&activity));
        let _working = Exchange::begin(&activity);
        let mut deadlines = Deadlines::default();
        let mut after = |wait: Duration| deadlines.verdict(&activity, since + wait);
        assert_eq!(
            after(STALL_TIMEOUT.saturating_sub(Duration::from_millis(10))),
            GoOn
        );
        assert_eq!(after(STALL_TIMEOUT + Duration::from_millis(10)), CutOff);
        // Bytes of other answers excuse it for a while.
        for seconds in (1..300).step_by(10) {
            activity.wrote(20_000);
            assert_eq!(after(Duration::from_secs(seconds)), GoOn, "{seconds}");
        }
        activity.wrote(20_000);
        assert_eq!(after(LONGEST_STALL), CutOff);
    }

    #[test]
    fn an_answer_has_to_be_taken_and_work_may_take_its_time() {
        use Verdict::{CutOff, End, GoOn};
        let activity = Arc::new(Activity::new(Instant::now()));
        let exchange = Exchange::begin(&activity);
        assert_eq!(verdicts(&activity, &[100]), [GoOn]);
        let answer = exchange.answer(Body::from("x"));
        assert_eq!(verdicts(&activity, &[14, 16]), [GoOn, CutOff]);

        let (mut deadlines, now) = (Deadlines::default(), Instant::now());
        let mut after = |seconds| deadlines.verdict(&activity, now + Duration::from_secs(seconds));
        activity.wrote(20_000);
        assert_eq!(after(14), GoOn);
        activity.wrote(20_000);
        assert_eq!((after(28), after(42)), (GoOn, GoOn));
        activity.wrote(100);
        assert_eq!(after(44), CutOff);

        drop(answer);
        activity.set_blocked(true);
        assert_eq!(after(44), CutOff);
        activity.set_blocked(false);
        activity.wrote(20_000);
        assert_eq!((after(45), after(59)), (End, End));
        for seconds in (60..340).step_by(10) {
            activity.wrote(20_000);
            let verdict = after(seconds);
            assert_eq!(
                verdict,
                if seconds < 330 { End } else { CutOff },
                "{seconds}"
            );
        }
    }
}
