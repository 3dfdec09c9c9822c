//! What an event must be to be recorded, and how old ones meet today's code.

use laterbase::{Upcasters, Validators};
use serde_json::Value;

/// Every replica runs these: on what it records, and on what it receives.
pub(crate) fn validators() -> Validators {
    Validators::default().version("fleet 1").with(|event| match (event.root, event.type_name) {
        ("shipment" | "truck", _) if event.key.is_none() => {
            Err(format!("a {} has a number: give the event a `key`", event.root))
        }
        ("shipment", "handed_over") => {
            let data: Value = serde_json::from_slice(event.payload)
                .map_err(|error| format!("a hand-over is JSON: {error}"))?;
            match data.get("to") {
                Some(Value::String(to)) if !to.is_empty() => Ok(()),
                _ => Err("a hand-over names in `to` who has it now".to_owned()),
            }
        }
        _ => Ok(()),
    })
}

/// Readings of version 1 had degrees Celsius as a fraction.
pub(crate) fn upcasters() -> Upcasters {
    Upcasters::default().with_json("truck", "read", 1, |mut reading| {
        let celsius = reading.get("celsius").and_then(Value::as_f64).ok_or("no `celsius`")?;
        let millicelsius = (celsius * 1000.0).round() as i64;
        if let Some(members) = reading.as_object_mut() {
            members.remove("celsius");
            members.insert("millicelsius".to_owned(), millicelsius.into());
        }
        Ok(reading)
    })
}
