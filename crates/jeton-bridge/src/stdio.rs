//! Lines in, lines out. Each in a thread of its own, so that a read or a write that never returns
//! does not keep the program from ending.

use std::io::{self, BufRead, Read as _, Write};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::events::MAX_MESSAGE;
use crate::message::Message;

/// Lines that wait to be worked on, or to be written.
const WAITING: usize = 64;

/// A line, or what came instead of one.
#[derive(Debug)]
pub(crate) enum Line {
    /// As it was read.
    Text(String),
    /// Bytes that are no UTF-8: what they were meant to be is not guessed.
    NotText,
    /// Over the limit; it was passed over.
    TooLong,
}

/// Where the host's messages come from.
#[derive(Debug)]
pub struct Input(mpsc::Receiver<Line>);

impl Input {
    /// Reads lines from `reader` until it ends.
    ///
    /// # Errors
    ///
    /// Where no thread can be started.
    pub fn of(reader: impl BufRead + Send + 'static) -> io::Result<Self> {
        let (lines, receiver) = mpsc::channel(WAITING);
        thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || read(reader, &lines))?;
        Ok(Self(receiver))
    }

    pub(crate) async fn next(&mut self) -> Option<Line> {
        self.0.recv().await
    }
}

fn read(mut reader: impl BufRead, lines: &mpsc::Sender<Line>) {
    loop {
        let mut line = Vec::new();
        let limit = MAX_MESSAGE as u64 + 1;
        match reader.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let is_whole = line.ends_with(b"\n") || line.len() <= MAX_MESSAGE;
        let next = if is_whole {
            String::from_utf8(line).map_or(Line::NotText, Line::Text)
        } else {
            while matches!(
                reader.by_ref().take(limit).read_until(b'\n', &mut line),
                Ok(read) if read > 0
            ) {
                let ended = line.ends_with(b"\n");
                line.clear();
                if ended {
                    break;
                }
            }
            Line::TooLong
        };
        if lines.blocking_send(next).is_err() {
            return;
        }
    }
}

/// Where messages for the host go.
#[derive(Debug)]
pub struct Output {
    host: Host,
    finished: oneshot::Receiver<()>,
}

impl Output {
    /// Writes lines to `writer`, each at once.
    ///
    /// # Errors
    ///
    /// Where no thread can be started.
    pub fn to(writer: impl Write + Send + 'static) -> io::Result<Self> {
        let (sender, mut lines) = mpsc::channel::<String>(WAITING);
        let (finish, finished) = oneshot::channel();
        thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || {
                let mut writer = writer;
                while let Some(line) = lines.blocking_recv() {
                    let written = writer
                        .write_all(line.as_bytes())
                        .and_then(|()| writer.flush());
                    if written.is_err() {
                        break;
                    }
                }
                // Whoever waits for it may have gone.
                let _ = finish.send(());
            })?;
        Ok(Self {
            host: Host(sender),
            finished,
        })
    }

    pub(crate) fn host(&self) -> Host {
        self.host.clone()
    }

    /// Waits until all that was sent is written. Every other [`Host`] has to be dropped before.
    pub(crate) async fn finish(self) {
        drop(self.host);
        let _ = self.finished.await;
    }
}

/// The host at the other end.
#[derive(Debug, Clone)]
pub(crate) struct Host(mpsc::Sender<String>);

impl Host {
    /// Sends it a message; one that it will never read is dropped.
    pub(crate) async fn send(&self, message: &Message) {
        let _ = self.0.send(format!("{}\n", message.text())).await;
    }

    /// Waits until it reads no more.
    pub(crate) async fn gone(&self) {
        self.0.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_one_by_one_and_the_last_needs_no_end() {
        let mut input = Input::of(io::Cursor::new(b"a\r\nb\xff\n\nc")).unwrap();
        let mut lines = Vec::new();
        while let Some(line) = input.next().await {
            lines.push(match line {
                Line::Text(line) => line.trim().to_owned(),
                other => format!("{other:?}"),
            });
        }
        assert_eq!(lines, ["a", "NotText", "", "c"]);
    }

    #[tokio::test]
    async fn a_line_over_the_limit_is_passed_over() {
        let mut text = vec![b'x'; MAX_MESSAGE * 2 + 10];
        text.extend(b"\nnext\n");
        let mut input = Input::of(io::Cursor::new(text)).unwrap();
        assert!(matches!(input.next().await, Some(Line::TooLong)));
        assert!(matches!(input.next().await, Some(Line::Text(line)) if line == "next\n"));
        assert!(input.next().await.is_none());
    }
}
