//! Gathers settings from all sources, and knows where each came from.

use std::ffi::OsString;
#[cfg(any(feature = "tls", feature = "tokens"))]
use std::fmt;
use std::path::PathBuf;

use super::error::SettingError;
use super::flags::{Given, from_environment};
use super::form::Found;
use super::plan::Plan;
use super::source::{Called, Source};
use super::table::{self, DB, SETTINGS};
use super::{check, file};
#[cfg(any(feature = "tls", feature = "tokens"))]
use crate::failure::{Exit, Failure};

/// What `serve` runs with, and where each of its settings came from.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) plan: Plan,
    /// In the order of the table.
    sources: Vec<Source>,
}

impl Settings {
    /// Gathers them. `json` is whether the command answers in JSON; `environment` knows the
    /// variables that there are.
    ///
    /// # Errors
    /// [`SettingError`] for the first thing that cannot be.
    pub(crate) fn gather(
        given: &Given,
        environment: &dyn Fn(&str) -> Option<OsString>,
        json: bool,
    ) -> Result<Self, SettingError> {
        let mut settings =
            Self { plan: Plan::by_default(json), sources: vec![Source::Default; SETTINGS.len()] };
        if let Some((path, source)) = &given.config {
            let path = PathBuf::from(path);
            for entry in file::read(&path, source.clone())? {
                let source = Source::File { path: path.clone(), line: entry.line };
                settings.set(entry.index, &entry.found, source)?;
            }
        }
        for (index, setting) in SETTINGS.iter().enumerate() {
            // The variable of the directory is every command's, and read with the flags.
            let found = (setting.name != DB).then(|| from_environment(setting, environment));
            if let Some(found) = found.flatten() {
                settings.set(index, &found, Source::Environment)?;
            }
        }
        for (name, found, source) in &given.values {
            if let Some(index) = table::index_of(name) {
                settings.set(index, found, source.clone())?;
            }
        }
        check::check(&settings)?;
        Ok(settings)
    }

    fn set(&mut self, index: usize, found: &Found, source: Source) -> Result<(), SettingError> {
        let Some((setting, place)) = SETTINGS.get(index).zip(self.sources.get_mut(index)) else {
            return Ok(());
        };
        setting.form.set(&mut self.plan, found, source.base()).map_err(|wrong| {
            let setting = Called { name: setting.name, source: source.clone() };
            SettingError::Value { setting, wrong }
        })?;
        *place = source;
        Ok(())
    }

    /// Where the setting of this name came from.
    pub(crate) fn source(&self, name: &str) -> &Source {
        let index = table::index_of(name);
        index.and_then(|index| self.sources.get(index)).unwrap_or(&Source::Default)
    }

    /// What a setting names cannot be used.
    #[cfg(any(feature = "tls", feature = "tokens"))]
    pub(crate) fn refused(&self, name: &'static str, error: impl fmt::Display) -> Failure {
        let failure = Failure::new(Exit::Refused, error);
        match self.source(name) {
            Source::Flag | Source::Default => failure,
            source @ (Source::File { .. } | Source::Environment) => {
                failure.hint(format_args!("`{name}` is from {}", source.shown(name)))
            }
        }
    }

    /// A setting by the name that it has there.
    pub(crate) fn called(&self, name: &'static str) -> Called {
        Called { name, source: self.source(name).clone() }
    }
}

// All settings are there in the full program alone.
#[cfg(all(feature = "tls", feature = "tokens"))]
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    /// The settings of a command line, an environment and a file.
    fn gather(
        flags: &[&str],
        environment: &[(&str, &str)],
        file: Option<&str>,
    ) -> Result<Settings, String> {
        let command = Given::augment_args(clap::Command::new("serve"));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("serve.toml");
        let mut words = vec!["serve".into()];
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
            words.extend(["--config".into(), path.clone().into_os_string()]);
        }
        words.extend(flags.iter().map(OsString::from));
        let matches = command.try_get_matches_from(words).map_err(|error| error.to_string())?;
        let given = Given::from_arg_matches(&matches).unwrap();
        let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
        let variable = |name: &str| environment.get(name).map(OsString::from);
        Settings::gather(&given, &variable, false).map_err(|error| {
            error.to_string().replace(&format!("{}/", directory.path().display()), "")
        })
    }

    #[track_caller]
    fn check(flags: &[&str], environment: &[(&str, &str)], file: &str, expected: &str) {
        let file = (!file.is_empty()).then_some(file);
        let said = gather(flags, environment, file).map(|_| ());
        assert_eq!(said, Err(expected.to_owned()));
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let file = "body_bytes_max = \"1MiB\"\nlive_max = 3\nstreams_max = 4\n";
        let environment = [("LATERBASE_BODY_BYTES_MAX", "2MiB"), ("LATERBASE_LIVE_MAX", "5")];
        let settings = gather(&["--body-bytes-max", "3MiB"], &environment, Some(file)).unwrap();
        let server = &settings.plan.server;
        assert_eq!((server.body_bytes_max, server.live_max), (3 << 20, 5));
        assert_eq!((server.streams_max, server.requests_max), (4, 64));
        assert_eq!(*settings.source("body_bytes_max"), Source::Flag);
        assert_eq!(*settings.source("live_max"), Source::Environment);
        assert!(matches!(settings.source("streams_max"), Source::File { line: 3, .. }));
        assert_eq!(*settings.source("requests_max"), Source::Default);
    }

    #[test]
    fn every_setting_can_be_given_in_all_three_ways() {
        let mut plan = Plan::by_default(false);
        for setting in SETTINGS.iter().filter(|setting| setting.name != DB) {
            let name = setting.name;
            let shown = setting.form.show(&mut plan);
            let value = shown.unwrap_or_else(|| match setting.form.placeholder() {
                "NUMBER" => "7".to_owned(),
                "ORIGIN" => "\"https://fleet.example\"".to_owned(),
                _ => "\"file\"".to_owned(),
            });
            let word = value.trim_matches('"');
            // Settings that need others are refused for that alone.
            let alone = |result: Result<Settings, String>| match result {
                Ok(settings) => settings.source(name).shown(name),
                Err(said) => said.split(": this needs").next().unwrap().to_owned(),
            };
            let flag = format!("--{}", name.replace('_', "-"));
            assert_eq!(alone(gather(&[&format!("{flag}={word}")], &[], None)), flag);
            let variable = format!("LATERBASE_{}", name.to_uppercase());
            assert_eq!(alone(gather(&[], &[(&variable, word)], None)), variable);
            let said = alone(gather(&[], &[], Some(&format!("\n{name} = {value}\n"))));
            let said = said.rsplit('/').next().unwrap();
            assert!(said.starts_with("serve.toml:2"), "{name}: {said}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_source() {
        check(
            &["--body-bytes-max", "8M"],
            &[],
            "",
            "--body-bytes-max: `8M` is no size: write a whole number of B, KiB, MiB or GiB, such \
             as 8MiB",
        );
        check(
            &[],
            &[("LATERBASE_REQUEST_TIMEOUT", "soon")],
            "",
            "LATERBASE_REQUEST_TIMEOUT: `soon` is no duration: write a whole number of ms, s, m, \
             h or d, such as 60s",
        );
        check(
            &[],
            &[],
            "\n\nrequests_max = 0\n",
            "serve.toml:3: `requests_max`: 0 is out of range: from 1 to 10000000",
        );
        check(
            &[],
            &[],
            "requests_max = 99999999999999999999999",
            "serve.toml:1: `requests_max`: `99999999999999999999999` is no count: write a whole \
             number",
        );
        check(
            &["--header-bytes-max", "1MiB"],
            &[],
            "",
            "--header-bytes-max: 1MiB is out of range: from 1KiB to 96KiB",
        );
        check(&["--sync-every", "0"], &[], "", "--sync-every: 0s is out of range: from 1s to 1d");
        check(
            &[],
            &[],
            "insecure_network = \"yes\"",
            "serve.toml:1: `insecure_network`: this is a text: write true or false, without \
             quotation marks",
        );
        check(
            &[],
            &[],
            "listen = 7410",
            "serve.toml:1: `listen`: this is a number: write a text in quotation marks",
        );
        check(
            &[],
            &[],
            "[listen]\nport = 1",
            "serve.toml:1: `listen`: this is a table: write a text in quotation marks",
        );
        check(
            &[],
            &[("LATERBASE_LISTEN", "here")],
            "",
            "LATERBASE_LISTEN: `here` is no address: write HOST:PORT, such as 127.0.0.1:7410",
        );
        check(
            &["--cors-origin", "*"],
            &[],
            "",
            "--cors-origin: `*` is no origin: write the scheme and the host, and no path, such as \
             https://fleet.example",
        );
        check(
            &["--log-level", "loud"],
            &[],
            "",
            "--log-level: `loud` is no level: write off, error, warn, info, debug or trace, or \
             one for each target, such as info,laterbase_server=debug",
        );
        check(
            &["--rate-per-second=-1"],
            &[],
            "",
            "--rate-per-second: -1 is out of range: from 0.001 to 1000000",
        );
    }

    #[test]
    fn what_is_empty_is_not_taken_for_nothing() {
        check(&[], &[("LATERBASE_TOKEN_KEY", "")], "", "LATERBASE_TOKEN_KEY: a value is missing");
        check(&[], &[("LATERBASE_TOKEN_KEY", "a,")], "", "LATERBASE_TOKEN_KEY: a value is missing");
        check(&[], &[], "token_key = []", "serve.toml:1: `token_key`: a value is missing");
        check(&[], &[("LATERBASE_TLS_CERT", "")], "", "LATERBASE_TLS_CERT: a value is missing");
    }

    #[test]
    fn contradictions_are_named_with_both_sources() {
        check(&["--tls-cert", "a"], &[], "", "--tls-cert: this needs `tls_key`, too");
        check(
            &[],
            &[("LATERBASE_TLS_KEY", "a")],
            "",
            "LATERBASE_TLS_KEY: this needs `tls_cert`, too",
        );
        check(&[], &[], "revoked = \"a\"", "serve.toml:1: `revoked`: this needs `token_key`, too");
        check(&["--rate-burst", "3"], &[], "", "--rate-burst: this needs `rate_per_second`, too");
        check(
            &["--body-bytes-max", "1GiB"],
            &[],
            "waiting_bytes_max = \"512MiB\"",
            "--body-bytes-max: this is more than `waiting_bytes_max`, which is 512MiB \
             (serve.toml:1)",
        );
        check(
            &["--waiting-bytes-max", "1MiB"],
            &[],
            "",
            "--waiting-bytes-max: this is less than `body_bytes_max`, which is 48MiB (default)",
        );
        check(
            &[],
            &[],
            "sessions_max = 2",
            "serve.toml:1: `sessions_max`: this is less than `sessions_per_peer_max`, which is 4 \
             (default)",
        );
    }

    #[test]
    fn values_go_where_they_belong() {
        let file = "token_key = [\"a.pub\", \"/b.pub\"]\nrequest_timeout = 5\nlog = \"json\"\n\
                    cors_origin = \"https://fleet.example\"\n\"grace\" = \"1500ms\"\n";
        let flags = ["--sync-every", "7", "--rate-per-second=2.5", "--insecure-network"];
        let environment = [("LATERBASE_CORS_ORIGIN", "http://a:1, https://b")];
        let Settings { plan, .. } = gather(&flags, &environment, Some(file)).unwrap();
        assert_eq!(plan.server.request_timeout, Duration::from_secs(5));
        assert_eq!(plan.server.grace, Duration::from_millis(1_500));
        assert_eq!(plan.background.interval, Duration::from_secs(7));
        assert_eq!(plan.server.cors_origins, ["http://a:1", "https://b"]);
        let rate = plan.rate.to_rate().unwrap();
        assert_eq!((rate.per_second, rate.burst), (2.5, 3));
        assert!(plan.server.insecure_network && !plan.server.log_requests);
        assert_eq!(plan.log, super::super::plan::LogFormat::Json);
        // Paths of the file are counted from its folder.
        assert!(plan.token_key[0].is_absolute() && plan.token_key[0].ends_with("a.pub"));
        assert_eq!(plan.token_key[1], std::path::Path::new("/b.pub"));
    }

    #[test]
    fn a_flag_takes_back_what_the_file_says() {
        let file = "log_requests = true\nrate_per_second = 5\nrate_burst = 9\n";
        let flags = ["--log-requests=false", "--rate-per-second", "off"];
        let Settings { plan, .. } = gather(&flags, &[], Some(file)).unwrap();
        assert!(!plan.server.log_requests);
        assert_eq!(plan.rate.to_rate(), None);
    }

    #[test]
    fn what_is_shown_is_a_file_of_the_same_settings() {
        let flags = ["--listen", "127.0.0.1:1", "--token-key", "a\"b", "--rate-per-second", "0.5"];
        let settings = gather(&flags, &[], Some("grace = \"90s\"\nlog = \"json\"")).unwrap();
        let text = settings.to_text();
        let again = gather(&[], &[], Some(&text)).unwrap();
        let values = |text: &str| {
            let line = |line: &str| line.split("  # ").next().unwrap().trim().to_owned();
            text.lines().map(line).collect::<Vec<_>>().join("\n")
        };
        let shown = values(&again.to_text());
        let folder = shown.lines().find(|line| line.starts_with("token_key")).unwrap();
        assert!(folder.ends_with("/a\\\"b\"]"), "{folder}");
        let others = |text: String| {
            let lines = text.lines().filter(|line| !line.starts_with("token_key"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(others(shown), others(values(&text)));
        assert!(text.contains("  # --listen\n") && text.contains("serve.toml:1\n"), "{text}");
    }
}
