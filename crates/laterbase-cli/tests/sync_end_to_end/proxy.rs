//! A TCP proxy that cuts, delays and tears connections, by a seed.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use laterbase_log::storage::Random;

/// What happens to one connection.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Both ways end after so many bytes, in the middle of whatever is on its way.
    Cut(u64),
    /// Each piece waits.
    Delay(u64),
    /// One way ends after so many bytes; the other hangs on until its side gives up.
    Tear(u64),
}

/// A way to a server, with faults on it.
#[derive(Clone)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    target: Mutex<Option<SocketAddr>>,
    calm: AtomicBool,
    /// Cut, delayed, torn, refused.
    fired: [AtomicU64; 4],
}

impl Proxy {
    pub(crate) fn new(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let shared = Arc::new(Shared {
            address: listener.local_addr().unwrap(),
            target: Mutex::new(None),
            calm: AtomicBool::new(false),
            fired: Default::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            let mut random = Random::new(seed);
            for stream in listener.incoming().flatten() {
                let (shared, fault) = (Arc::clone(&accepting), draw(&accepting, &mut random));
                thread::spawn(move || carry(&shared, stream, fault));
            }
        });
        Self { shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    pub(crate) fn lead_to(&self, target: Option<SocketAddr>) {
        *self.shared.target.lock().unwrap() = target;
    }

    /// No more faults from now on.
    pub(crate) fn calm(&self) {
        self.shared.calm.store(true, Ordering::Relaxed);
    }

    /// How often each kind of fault fired.
    pub(crate) fn fired(&self) -> [u64; 4] {
        self.shared.fired.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

fn draw(shared: &Shared, random: &mut Random) -> Fault {
    if shared.calm.load(Ordering::Relaxed) {
        return Fault::None;
    }
    // As often within a few bytes as within many: of the head, of a frame, of a batch.
    let order = random.below(18);
    let bytes = 1 + random.below(1 << order);
    match random.below(10) {
        0..=3 => Fault::Cut(bytes),
        4..=5 => Fault::Delay(1 + random.below(60)),
        6..=8 => Fault::Tear(bytes),
        _ => Fault::None,
    }
}

fn carry(shared: &Arc<Shared>, client: TcpStream, fault: Fault) {
    let target = *shared.target.lock().unwrap();
    let Some(server) = target.and_then(|target| TcpStream::connect(target).ok()) else {
        shared.fired[3].fetch_add(1, Ordering::Relaxed);
        return;
    };
    let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let left = Arc::new(AtomicU64::new(match fault {
        Fault::Cut(bytes) | Fault::Tear(bytes) => bytes,
        Fault::None | Fault::Delay(_) => u64::MAX,
    }));
    let (other, counted) = (Arc::clone(shared), Arc::clone(&left));
    thread::spawn(move || pump(&other, back.0, back.1, fault, &counted));
    pump(shared, client, server, fault, &left);
}

fn pump(shared: &Shared, mut from: TcpStream, mut to: TcpStream, fault: Fault, left: &AtomicU64) {
    let mut buffer = vec![0; 8 << 10];
    loop {
        let read = from.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        let is_calm = shared.calm.load(Ordering::Relaxed);
        if let (Fault::Delay(ms), false) = (fault, is_calm) {
            shared.fired[1].fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(ms));
        }
        let before =
            left.fetch_sub((read as u64).min(left.load(Ordering::Relaxed)), Ordering::Relaxed);
        let kept = usize::try_from(before.min(read as u64)).unwrap();
        let is_over = kept < read || to.write_all(&buffer[..kept]).is_err();
        if !is_over {
            continue;
        }
        match fault {
            Fault::Cut(_) => {
                shared.fired[0].fetch_add(1, Ordering::Relaxed);
                let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
            }
            Fault::Tear(_) => {
                shared.fired[2].fetch_add(1, Ordering::Relaxed);
                let _ = (from.shutdown(Shutdown::Read), to.shutdown(Shutdown::Write));
            }
            Fault::None | Fault::Delay(_) => {
                let _ = from.shutdown(Shutdown::Both);
            }
        }
        return;
    }
}
