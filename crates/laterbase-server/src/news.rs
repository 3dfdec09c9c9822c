//! News of one database: a thread that tells everybody who waits that something was flushed.
//!
//! It sleeps until the database wakes it, and ends when the database is closed or its newsroom is
//! dropped. Without a thread, whoever waits learns of it a little later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use laterbase::{Database, Position};
use tokio::sync::watch;

/// The thread of one database.
#[derive(Debug)]
pub(crate) struct Newsroom {
    ended: Arc<AtomicBool>,
    thread: Option<Thread>,
}

/// Wakes a thread that is parked.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Newsroom {
    /// Starts the thread.
    pub(crate) fn open(database: &Database, news: &Arc<watch::Sender<Position>>) -> Self {
        let ended: Arc<AtomicBool> = Arc::default();
        let (told, news) = (Arc::clone(&ended), Arc::clone(news));
        let mut flushed = database.watch_flushed();
        let watching = thread::Builder::new().name("laterbase-news".to_owned()).spawn(move || {
            let waker = Waker::from(Arc::new(Parked(thread::current())));
            let mut cx = Context::from_waker(&waker);
            let mut before = Position::NONE;
            while !told.load(Ordering::Acquire) {
                match flushed.poll_flushed(before, &mut cx) {
                    Poll::Ready(Some(position)) => {
                        before = position;
                        news.send_replace(position);
                    }
                    Poll::Ready(None) => return,
                    Poll::Pending => thread::park(),
                }
            }
        });
        Self { ended, thread: watching.ok().map(|handle| handle.thread().clone()) }
    }
}

impl Drop for Newsroom {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}
