//! The shipments on their way, and what happens to one of them next.

use super::random::Random;

/// How many shipments are on their way at once.
const ACTIVE: u32 = 120;
/// Where the story begins: 2026-01-05T06:00:00Z, in milliseconds since 1970.
const BEGINNING_MS: i64 = 1_767_592_800_000;
/// The longest pause between two recordings.
const PAUSE_MS_MAX: u32 = 1_200;
/// How late the latest of the late recordings are: three days.
const LATE_MS_MAX: u32 = 3 * 86_400_000;

/// Ports, hubs and depots, by their UN/LOCODE, with latitude and longitude in 1/10,000 degree.
const SITES: [(&str, i64, i64); 12] = [
    ("DEHAM", 535_461, 99_661),
    ("NLRTM", 519_496, 41_453),
    ("BEANR", 512_993, 43_070),
    ("FRLEH", 494_938, 1_079),
    ("GBFXT", 519_617, 13_512),
    ("ESVLC", 394_502, -3_158),
    ("ITGOA", 444_056, 89_463),
    ("PLGDN", 543_721, 186_380),
    ("SEGOT", 577_089, 118_746),
    ("ATVIE", 482_082, 163_738),
    ("CZPRG", 500_755, 144_378),
    ("CHBSL", 475_596, 75_886),
];

/// Who may hold a shipment.
pub(super) const PARTIES: [&str; 6] = [
    "Nordfracht",
    "Van Dijk Transport",
    "Alpine Logistik",
    "Iberia Cargo",
    "Hansa Hub",
    "Baltic Lines",
];

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Booked,
    CustodyChanged,
    Departed,
    Scanned,
    Measured,
    Arrived,
    Delivered,
}

/// One thing that happened, with all that a recording of it needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) kind: Kind,
    pub(super) valid_at_ms: i64,
    pub(super) late: bool,
    pub(super) shipment: u32,
    pub(super) truck: u32,
    pub(super) device: u32,
    /// Where it happened.
    pub(super) site: &'static str,
    /// Where the shipment goes from here, or for an arrival came from.
    pub(super) other_site: &'static str,
    pub(super) latitude: i64,
    pub(super) longitude: i64,
    pub(super) party: &'static str,
    pub(super) next_party: &'static str,
    pub(super) number: u32,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Wanted,
    Booked,
    Held,
    OnTheWay,
    AtSite,
}

#[derive(Clone, Copy, Debug)]
struct Shipment {
    number: u32,
    stage: Stage,
    legs_left: u32,
    site: usize,
    next_site: usize,
    truck: u32,
    party: &'static str,
}

#[derive(Debug)]
pub(super) struct World {
    shipments: Vec<Shipment>,
    shipments_ever: u32,
    now_ms: i64,
}

impl World {
    pub(super) fn new(random: &mut Random) -> Self {
        let mut world = Self { shipments: Vec::new(), shipments_ever: 0, now_ms: BEGINNING_MS };
        for _ in 0..ACTIVE {
            let shipment = world.another_shipment(random);
            world.shipments.push(shipment);
        }
        world
    }

    /// Lets time pass and one thing happen.
    pub(super) fn step(&mut self, late: bool, random: &mut Random) -> Step {
        self.now_ms = self.now_ms.saturating_add(i64::from(random.below(PAUSE_MS_MAX)));
        let delay_ms = if late { 60_000 + i64::from(random.below(LATE_MS_MAX)) } else { 0 };
        let index = random.below(ACTIVE) as usize;
        let fresh = self.another_shipment(random);
        let Some(shipment) = self.shipments.get_mut(index) else {
            return fresh.step(Kind::Booked, self.now_ms, late, random);
        };
        let kind = shipment.what_is_next(random);
        let step = shipment.step(kind, self.now_ms.saturating_sub(delay_ms), late, random);
        shipment.after(kind, step.next_party, random);
        if kind == Kind::Delivered {
            *shipment = fresh;
        } else {
            // The number was not used: the next shipment has it.
            self.shipments_ever = self.shipments_ever.saturating_sub(1);
        }
        step
    }

    fn another_shipment(&mut self, random: &mut Random) -> Shipment {
        self.shipments_ever = self.shipments_ever.saturating_add(1);
        let site = random.below(12) as usize;
        Shipment {
            number: self.shipments_ever,
            stage: Stage::Wanted,
            legs_left: 1 + random.below(4),
            site,
            next_site: (site + 1 + random.below(11) as usize) % SITES.len(),
            truck: 1 + random.below(400),
            party: random.pick(&PARTIES, "Nordfracht"),
        }
    }
}

impl Shipment {
    fn what_is_next(&self, random: &mut Random) -> Kind {
        let chance = random.below(100);
        match self.stage {
            Stage::Wanted => Kind::Booked,
            Stage::Booked => Kind::CustodyChanged,
            Stage::Held => Kind::Departed,
            Stage::OnTheWay => match chance {
                0..60 => Kind::Measured,
                60..85 => Kind::Scanned,
                _ => Kind::Arrived,
            },
            Stage::AtSite if self.legs_left == 0 => match chance {
                0..40 => Kind::Scanned,
                _ => Kind::Delivered,
            },
            Stage::AtSite => match chance {
                0..45 => Kind::Scanned,
                45..65 => Kind::CustodyChanged,
                _ => Kind::Departed,
            },
        }
    }

    fn after(&mut self, kind: Kind, next_party: &'static str, random: &mut Random) {
        match kind {
            Kind::Booked => self.stage = Stage::Booked,
            Kind::CustodyChanged => {
                self.party = next_party;
                self.stage = Stage::Held;
            }
            Kind::Departed => {
                self.truck = 1 + random.below(400);
                self.stage = Stage::OnTheWay;
            }
            Kind::Arrived => {
                self.legs_left = self.legs_left.saturating_sub(1);
                self.site = self.next_site;
                self.next_site = (self.site + 1 + random.below(11) as usize) % SITES.len();
                self.stage = Stage::AtSite;
            }
            Kind::Scanned | Kind::Measured | Kind::Delivered => {}
        }
    }

    fn step(&self, kind: Kind, valid_at_ms: i64, late: bool, random: &mut Random) -> Step {
        let (here, there) = match kind {
            Kind::Arrived => (self.next_site, self.site),
            Kind::Booked
            | Kind::CustodyChanged
            | Kind::Departed
            | Kind::Scanned
            | Kind::Measured
            | Kind::Delivered => (self.site, self.next_site),
        };
        let (site, latitude, longitude) = SITES.get(here).copied().unwrap_or(("DEHAM", 0, 0));
        let (other_site, ..) = SITES.get(there).copied().unwrap_or(("NLRTM", 0, 0));
        // A device belongs to a site, or travels with its truck.
        let device = match kind {
            Kind::Measured => self.truck,
            Kind::Booked
            | Kind::CustodyChanged
            | Kind::Departed
            | Kind::Scanned
            | Kind::Arrived
            | Kind::Delivered => u32::try_from(here).unwrap_or(0) * 40 + random.below(40),
        };
        Step {
            kind,
            valid_at_ms,
            late,
            shipment: self.number,
            truck: self.truck,
            device,
            site,
            other_site,
            latitude: latitude + i64::from(random.below(9_000)),
            longitude: longitude + i64::from(random.below(9_000)),
            party: self.party,
            next_party: random.pick(&PARTIES, "Hansa Hub"),
            number: random.below(1_000_000),
        }
    }
}
