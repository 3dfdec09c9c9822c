//! The flags of `serve` that are settings, made of the table.

use std::ffi::OsString;
use std::sync::LazyLock;

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::form::Found;
use super::plan::Plan;
use super::source::{Source, flag, variable};
use super::table::{DB, SETTINGS, Setting};

/// What the command line says of settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// Values by the name of their settings, with their sources.
    pub(super) values: Vec<(&'static str, Found, Source)>,
    /// The file, and who named it.
    pub(super) config: Option<(OsString, Source)>,
}

const CONFIG: &str = "config";

/// The flags without their dashes, as clap takes them, in the order of the table.
static LONG: LazyLock<Vec<String>> = LazyLock::new(|| {
    let long = |setting: &Setting| flag(setting.name).trim_start_matches('-').to_owned();
    SETTINGS.iter().map(long).collect()
});

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        let mut plan = Plan::by_default(false);
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .env("LATERBASE_CONFIG")
            .hide_env_values(true)
            .value_parser(ValueParser::os_string())
            .help("Read settings from this TOML file, `name = value` each");
        let own = SETTINGS.iter().zip(LONG.iter()).filter(|(setting, _)| setting.name != DB);
        let flags: Vec<Arg> =
            own.map(|(setting, long)| argument(setting, long, &mut plan)).collect();
        command.arg(config).args(flags).after_help(
            "Each setting can be given as a flag, in the environment and in a file, in this order \
             of precedence: --sync-every 60s, LATERBASE_SYNC_EVERY=60s, sync_every = \"60s\".",
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Self::default();
        for setting in SETTINGS {
            let name = setting.name;
            if let Some(source) = source_of(matches, name) {
                given.values.push((name, found(matches, setting), source));
            }
        }
        let named = matches.get_one::<OsString>(CONFIG);
        given.config = named.cloned().zip(source_of(matches, CONFIG));
        Ok(given)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn argument(setting: &Setting, long: &'static str, plan: &mut Plan) -> Arg {
    let Setting { name, form, about } = setting;
    let about = match form.show(plan) {
        Some(value) if !form.is_switch() => {
            format!("{about} [default: {}]", value.trim_matches('"'))
        }
        Some(_) | None => (*about).to_owned(),
    };
    let mut argument = Arg::new(*name)
        .long(long)
        .value_name(form.placeholder())
        .value_parser(ValueParser::os_string())
        .help(about);
    if form.is_switch() {
        // `--log-requests=false` takes back what a file says.
        argument = argument.num_args(0..=1).require_equals(true).default_missing_value("true");
    } else if form.is_list() {
        argument = argument.num_args(1..).action(ArgAction::Append);
    }
    argument
}

/// Where the value of an argument came from, if it has one.
fn source_of(matches: &ArgMatches, name: &str) -> Option<Source> {
    match matches.try_contains_id(name) {
        Ok(true) => {}
        Ok(false) | Err(_) => return None,
    }
    let source = matches.value_source(name)?;
    let known =
        [(ValueSource::CommandLine, Source::Flag), (ValueSource::EnvVariable, Source::Environment)];
    known.into_iter().find(|(of_clap, _)| *of_clap == source).map(|(_, source)| source)
}

fn found(matches: &ArgMatches, setting: &Setting) -> Found {
    // What every command takes has been read as what it is.
    if setting.name == DB {
        let path = matches.get_one::<std::path::PathBuf>(DB);
        return Found::Word(path.cloned().unwrap_or_default().into_os_string());
    }
    let words = matches.get_many::<OsString>(setting.name).unwrap_or_default();
    let mut words = words.cloned().map(Found::Word);
    if setting.form.is_list() {
        return Found::List(words.collect());
    }
    words.next().unwrap_or(Found::Word(OsString::new()))
}

/// The value of a setting's environment variable, if there is one. Lists have commas in them.
pub(super) fn from_environment(
    setting: &Setting,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Option<Found> {
    let word = environment(&variable(setting.name))?;
    match word.to_str() {
        Some(text) if setting.form.is_list() && !text.is_empty() => {
            Some(Found::List(text.split(',').map(|one| Found::Word(one.trim().into())).collect()))
        }
        Some(_) | None => Some(Found::Word(word)),
    }
}
