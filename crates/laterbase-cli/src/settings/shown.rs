//! The effective settings as text that can be a file of settings again, and as JSON.

use serde_json::{Value, json};

use super::gather::Settings;
use super::table::SETTINGS;

impl Settings {
    /// A line for each setting: its value as in the file, and behind `#` where it came from. What
    /// is not set stands behind `#` itself.
    pub(crate) fn to_text(&self) -> String {
        let mut plan = self.plan.clone();
        let shown = SETTINGS.iter().map(|setting| {
            let from = self.source(setting.name).shown(setting.name);
            match setting.form.show(&mut plan) {
                Some(value) => (format!("{} = {value}", setting.name), from),
                None => (format!("# {} is not set", setting.name), String::new()),
            }
        });
        let lines: Vec<(String, String)> = shown.collect();
        let set = lines.iter().filter(|(_, from)| !from.is_empty());
        let width = set.map(|(line, _)| line.chars().count()).max().unwrap_or_default().min(48);
        let mut text = String::new();
        for (line, from) in lines {
            if from.is_empty() {
                text.push_str(&format!("{line}\n"));
            } else {
                text.push_str(&format!("{line:<width$}  # {from}\n"));
            }
        }
        text
    }

    /// The same as JSON: names, values as in the file or `null`, sources.
    pub(crate) fn to_json(&self) -> Value {
        let mut plan = self.plan.clone();
        let shown = SETTINGS.iter().map(|setting| {
            let name = setting.name;
            // What TOML and JSON write for texts, numbers, switches and lists of texts is the same.
            let value = setting.form.show(&mut plan);
            let value: Option<Value> = value.and_then(|text| serde_json::from_str(&text).ok());
            json!({ "name": name, "value": value, "source": self.source(name).shown(name) })
        });
        json!({ "settings": shown.collect::<Vec<Value>>() })
    }
}
