//! One step as a line of NDJSON, written without formatting machinery: a million a second.

use jiff::Timestamp;

use super::world::{Kind, Step};

/// Writes lines; keeps the text of the minute that it wrote last.
#[derive(Debug, Default)]
pub(super) struct Line {
    minute: i64,
    minute_text: String,
}

impl Line {
    pub(super) fn write(&mut self, step: &Step, seed: u64, number: u64, out: &mut Vec<u8>) {
        let (root, kind) = match step.kind {
            Kind::Booked => ("shipment", "booked"),
            Kind::CustodyChanged => ("shipment", "custody_changed"),
            Kind::Departed => ("shipment", "departed"),
            Kind::Scanned => ("shipment", "scanned"),
            Kind::Measured => ("sensor", "measured"),
            Kind::Arrived => ("shipment", "arrived"),
            Kind::Delivered => ("shipment", "delivered"),
        };
        text(out, "{\"root\":\"");
        text(out, root);
        text(out, "\",\"key\":\"");
        match step.kind {
            Kind::Measured => sensor(out, step),
            Kind::Booked
            | Kind::CustodyChanged
            | Kind::Departed
            | Kind::Scanned
            | Kind::Arrived
            | Kind::Delivered => shipment(out, step),
        }
        text(out, "\",\"type\":\"");
        text(out, kind);
        text(out, "\",\"valid_at\":\"");
        self.time(out, step.valid_at_ms);
        text(out, "\",\"tags\":[");
        tags(out, step);
        text(out, "],\"idempotency_key\":\"");
        digits(out, seed, 1);
        text(out, "-");
        digits(out, number, 1);
        if step.late {
            text(out, "\",\"meta\":{\"late\":\"out of coverage\"},\"data\":");
        } else {
            text(out, "\",\"data\":");
        }
        data(out, step);
        text(out, "}\n");
    }

    /// RFC 3339 in UTC, to the millisecond.
    fn time(&mut self, out: &mut Vec<u8>, millis: i64) {
        let minute = millis.div_euclid(60_000);
        if self.minute != minute || self.minute_text.is_empty() {
            let time = Timestamp::from_second(minute.saturating_mul(60)).unwrap_or_default();
            self.minute_text = time.to_string();
            // "2026-01-05T06:00:00Z" without "00Z".
            self.minute_text.truncate(17);
            self.minute = minute;
        }
        text(out, &self.minute_text);
        let rest = u64::try_from(millis.rem_euclid(60_000)).unwrap_or(0);
        digits(out, rest / 1_000, 2);
        text(out, ".");
        digits(out, rest % 1_000, 3);
        text(out, "Z");
    }
}

fn tags(out: &mut Vec<u8>, step: &Step) {
    let device = |out: &mut Vec<u8>| {
        text(out, "\"device:scanner-");
        digits(out, step.device.into(), 4);
        text(out, "\"");
    };
    let truck = |out: &mut Vec<u8>| {
        text(out, "\"truck:T-");
        digits(out, step.truck.into(), 4);
        text(out, "\"");
    };
    match step.kind {
        Kind::Booked | Kind::CustodyChanged | Kind::Delivered => device(out),
        Kind::Scanned | Kind::Departed | Kind::Arrived => {
            device(out);
            text(out, ",\"site:");
            text(out, step.site);
            text(out, "\",");
            truck(out);
        }
        Kind::Measured => {
            text(out, "\"shipment:");
            shipment(out, step);
            text(out, "\",");
            truck(out);
        }
    }
}

fn data(out: &mut Vec<u8>, step: &Step) {
    match step.kind {
        Kind::Booked => booking(out, step),
        Kind::CustodyChanged => custody(out, step),
        Kind::Departed | Kind::Arrived => gate(out, step),
        Kind::Scanned | Kind::Delivered => scan(out, step),
        Kind::Measured => measurement(out, step),
    }
    text(out, "}");
}

fn booking(out: &mut Vec<u8>, step: &Step) {
    text(out, "{\"shipper\":\"");
    text(out, step.party);
    text(out, "\",\"consignee\":\"");
    text(out, step.next_party);
    text(out, "\",\"from\":\"");
    text(out, step.site);
    text(out, "\",\"to\":\"");
    text(out, step.other_site);
    text(out, "\",\"goods\":\"machine parts\",\"service\":\"express, cold chain\"");
    text(out, ",\"incoterm\":\"DAP\",\"pieces\":");
    digits(out, u64::from(step.number % 40 + 1), 1);
    text(out, ",\"weight_kg\":");
    decimal(out, i64::from(step.number), 1);
}

fn custody(out: &mut Vec<u8>, step: &Step) {
    text(out, "{\"from\":\"");
    text(out, step.party);
    text(out, "\",\"to\":\"");
    text(out, step.next_party);
    text(out, "\",\"site\":\"");
    text(out, step.site);
    text(out, "\",\"seal\":\"SL-");
    digits(out, step.number.into(), 6);
    text(out, "\",\"seal_intact\":true,\"signed_by\":\"");
    digits(out, u64::from(step.number % 900 + 100), 3);
    text(out, "\",\"documents\":[\"CMR\",\"packing list\",\"customs T1\"]");
}

fn gate(out: &mut Vec<u8>, step: &Step) {
    text(out, "{\"site\":\"");
    text(out, step.site);
    text(out, if step.kind == Kind::Departed { "\",\"to\":\"" } else { "\",\"from\":\"" });
    text(out, step.other_site);
    text(out, "\",\"truck\":\"T-");
    digits(out, step.truck.into(), 4);
    text(out, "\",\"gate\":");
    digits(out, u64::from(step.number % 12 + 1), 1);
    text(out, ",\"odometer_km\":");
    decimal(out, i64::from(step.number) + 1_000_000, 1);
    text(out, ",\"seal\":\"SL-");
    digits(out, step.number.into(), 6);
    text(out, "\",\"driver\":\"");
    digits(out, u64::from(step.truck) + 7_000, 5);
    position(out, step);
}

fn scan(out: &mut Vec<u8>, step: &Step) {
    text(out, "{\"site\":\"");
    text(out, step.site);
    text(out, "\",\"device\":\"scanner-");
    digits(out, step.device.into(), 4);
    text(out, "\",\"sscc\":\"0034043416109");
    digits(out, step.number.into(), 7);
    text(out, "\",\"condition\":\"");
    text(out, if step.number.is_multiple_of(97) { "damaged" } else { "good" });
    text(out, "\",\"dock\":");
    digits(out, u64::from(step.number % 24 + 1), 1);
    text(out, ",\"operator\":\"");
    digits(out, u64::from(step.number % 900 + 100), 3);
    position(out, step);
}

fn measurement(out: &mut Vec<u8>, step: &Step) {
    text(out, "{\"shipment\":\"");
    shipment(out, step);
    text(out, "\",\"temperature_c\":");
    decimal(out, i64::from(step.number % 900) - 250, 2);
    text(out, ",\"humidity_percent\":");
    decimal(out, i64::from(step.number % 600) + 300, 1);
    text(out, ",\"shock_g\":");
    decimal(out, i64::from(step.number % 30), 1);
    text(out, ",\"battery_volt\":");
    decimal(out, i64::from(step.number % 90) + 330, 2);
    text(out, ",\"door\":\"closed\",\"firmware\":\"4.2.1");
    position(out, step);
}

/// Ends the text before it.
fn position(out: &mut Vec<u8>, step: &Step) {
    text(out, "\",\"voyage\":\"");
    text(out, step.site);
    text(out, "-");
    text(out, step.other_site);
    text(out, "-");
    digits(out, step.truck.into(), 4);
    text(out, "\",\"position\":{\"lat\":");
    decimal(out, step.latitude, 4);
    text(out, ",\"lon\":");
    decimal(out, step.longitude, 4);
    text(out, "}");
}

fn shipment(out: &mut Vec<u8>, step: &Step) {
    text(out, "S-");
    digits(out, step.shipment.into(), 7);
}

fn sensor(out: &mut Vec<u8>, step: &Step) {
    text(out, "TH-");
    digits(out, step.device.into(), 4);
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// The number in decimal, with leading zeros up to `width`.
fn digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut reversed = [b'0'; 20];
    let mut length = 0_usize;
    for digit in &mut reversed {
        if number == 0 {
            break;
        }
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        length = length.saturating_add(1);
    }
    let length = length.max(width).min(reversed.len());
    out.extend(reversed.iter().take(length).rev());
}

/// `number / 10^places`, written out.
fn decimal(out: &mut Vec<u8>, number: i64, places: u32) {
    if number < 0 {
        out.push(b'-');
    }
    let one = 10_u64.pow(places);
    digits(out, number.unsigned_abs() / one, 1);
    out.push(b'.');
    digits(out, number.unsigned_abs() % one, places as usize);
}
