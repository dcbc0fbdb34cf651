//! Server-sent events (WHATWG HTML §9.2), read piece by piece. Tolerant, as the standard wants:
//! unknown fields are ignored. Linear in what comes, and bounded.

use std::time::Duration;

/// The largest event or JSON document read, in bytes.
pub(crate) const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// One event, or what came instead of one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// What it carries; empty where it only sets the ID.
    pub(crate) data: String,
    /// Its type; nothing means `message`.
    pub(crate) kind: Option<String>,
}

impl Event {
    /// Whether it carries a JSON-RPC message.
    pub(crate) fn is_message(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "message") && !self.data.trim().is_empty()
    }
}

/// Over [`MAX_MESSAGE`] without an end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// What was read of a stream so far.
#[derive(Debug, Default)]
pub(crate) struct Events {
    unfinished: Vec<u8>,
    /// Whether the last line ended with a carriage return, whose line feed may be still to come.
    after_return: bool,
    started: bool,
    data: String,
    has_data: bool,
    kind: Option<String>,
    /// The ID read last, which counts once its event is complete.
    id: Option<String>,
    last_id: Option<String>,
    retry: Option<Duration>,
}

impl Events {
    /// The ID of the last complete event that had one: where to go on after a break.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How long the server asks to wait before a stream is asked for again.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// A new stream that goes on where this one broke.
    pub(crate) fn resumed(self) -> Self {
        Self {
            id: self.last_id.clone(),
            last_id: self.last_id,
            retry: self.retry,
            ..Self::default()
        }
    }

    /// Takes a piece of the stream, and gives the events that it completes.
    pub(crate) fn take(&mut self, mut piece: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut complete = Vec::new();
        while let Some(end) = piece.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, rest) = piece.split_at_checked(end).unwrap_or((piece, &[]));
            let ends_with_return = rest.first() == Some(&b'\r');
            piece = rest.get(1..).unwrap_or(&[]);
            let is_rest_of_pair = self.after_return
                && line.is_empty()
                && self.unfinished.is_empty()
                && !ends_with_return;
            self.after_return = ends_with_return;
            if is_rest_of_pair {
                continue;
            }
            let mut whole = std::mem::take(&mut self.unfinished);
            whole.extend_from_slice(line);
            self.line(&whole, &mut complete);
            self.check()?;
        }
        if !piece.is_empty() {
            self.after_return = false;
            self.unfinished.extend_from_slice(piece);
        }
        self.check()?;
        Ok(complete)
    }

    fn check(&self) -> Result<(), TooLarge> {
        if self.unfinished.len() + self.data.len() > MAX_MESSAGE {
            return Err(TooLarge);
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], complete: &mut Vec<Event>) {
        let text = String::from_utf8_lossy(line);
        let mut text = text.as_ref();
        if !self.started {
            self.started = true;
            text = text.strip_prefix('\u{feff}').unwrap_or(text);
        }
        if text.is_empty() {
            self.last_id.clone_from(&self.id);
            let event = Event {
                data: std::mem::take(&mut self.data),
                kind: self.kind.take(),
            };
            if std::mem::take(&mut self.has_data) {
                complete.push(event);
            }
            return;
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "event" => self.kind = Some(value.to_owned()).filter(|kind| !kind.is_empty()),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" => self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = "\u{feff}: hello\r\nid: 1\rdata:\r\n\r\nid:2\nevent: message\ndata: {\"a\":\ndata: 1}\n\nretry: 500\nretry: x\nunknown\nunknown: x\ndata: b\r\n\r\nevent: other\ndata: c\n\ndata: lost";

    fn read(pieces: &[&[u8]]) -> (Vec<Event>, Events) {
        let mut events = Events::default();
        let mut all = Vec::new();
        for piece in pieces {
            all.extend(events.take(piece).unwrap());
        }
        (all, events)
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let (all, events) = read(&[STREAM.as_bytes()]);
        let data: Vec<&str> = all.iter().map(|event| event.data.as_str()).collect();
        assert_eq!(data, ["", "{\"a\":\n1}", "b", "c"]);
        let messages: Vec<bool> = all.iter().map(Event::is_message).collect();
        assert_eq!(messages, [false, true, true, false]);
        assert_eq!(events.last_id(), Some("2"));
        assert_eq!(events.retry(), Some(Duration::from_millis(500)));
    }

    /// Who asks for what comes after an event that broke off must not be told that it had it.
    #[test]
    fn an_id_counts_once_its_event_is_complete() {
        let (_, events) = read(&[b"id: 1\ndata:\n\nid: 2\ndata: {\"a\""]);
        assert_eq!(events.last_id(), Some("1"));
        let mut events = events.resumed();
        events.take(b"data: a\n\n").unwrap();
        assert_eq!(events.last_id(), Some("1"));
        events.take(b"id: 2\n\n").unwrap();
        assert_eq!(events.last_id(), Some("2"));
    }

    #[test]
    fn a_message_without_end_is_not_kept() {
        let mut events = Events::default();
        let piece = vec![b'x'; 1024 * 1024];
        let taken = (0..100).find_map(|_| events.take(&piece).err());
        assert_eq!(taken, Some(TooLarge));
    }

    proptest! {
        #[test]
        fn where_the_pieces_are_cut_makes_no_difference(at in proptest::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = at;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &STREAM.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces).0, read(&[STREAM.as_bytes()]).0);
        }
    }
}
