//! The line editor: colours while typing, names by Tab, several lines, and what was typed before.

use std::borrow::Cow;
use std::path::PathBuf;

use laterbase::ask::{Piece, Schema, completions, is_incomplete, pieces};
use reedline::{
    Color, ColumnarMenu, Completer, CompletionResult, EditCommand, Emacs, FileBackedHistory,
    Highlighter, KeyCode, KeyModifiers, MenuBuilder as _, Prompt, PromptEditMode,
    PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal, Span, StyledText,
    Suggestion, ValidationResult, Validator, default_emacs_keybindings,
};

use crate::failure::{Exit, Failure};

/// Statements that are remembered from one shell to the next.
const HISTORY_MAX: usize = 10_000;
const MENU: &str = "completions";

/// What came of reading.
pub(super) enum Typed {
    Text(String),
    /// Ctrl-C: what was typed is thrown away.
    Nothing,
    /// Ctrl-D.
    End,
}

pub(super) struct Editor {
    reedline: Reedline,
}

impl Editor {
    pub(super) fn new(schema: Schema, roots: Vec<String>, colour: bool) -> Self {
        let mut keys = default_emacs_keybindings();
        let menu = ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu(MENU.to_owned()),
            ReedlineEvent::MenuNext,
        ]);
        keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, menu);
        let line = ReedlineEvent::Edit(vec![EditCommand::InsertNewline]);
        keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, line);
        let mut reedline = Reedline::create()
            .with_validator(Box::new(Statements))
            .with_completer(Box::new(Names { schema, roots }))
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(
                ColumnarMenu::default().with_name(MENU),
            )))
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_ansi_colors(colour);
        if colour {
            reedline = reedline.with_highlighter(Box::new(Colours));
        }
        // Without a place for it, the history lasts as long as the shell.
        if let Some(history) =
            history_file().and_then(|file| FileBackedHistory::with_file(HISTORY_MAX, file).ok())
        {
            reedline = reedline.with_history(Box::new(history));
        }
        Self { reedline }
    }

    pub(super) fn read(&mut self) -> Result<Typed, Failure> {
        match self.reedline.read_line(&Question) {
            Ok(Signal::Success(text)) => Ok(Typed::Text(text)),
            Ok(Signal::CtrlD) => Ok(Typed::End),
            Ok(_) => Ok(Typed::Nothing),
            Err(error) => Err(Failure::new(
                Exit::Storage,
                format_args!("the terminal cannot be read: {error}"),
            )),
        }
    }
}

/// Where what was typed is kept: `LATERBASE_HISTORY`, or the state folder of the user.
fn history_file() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state =
        || var("XDG_STATE_HOME").or_else(|| Some(var("HOME")?.join(".local").join("state")));
    let file =
        var("LATERBASE_HISTORY").or_else(|| Some(state()?.join("laterbase").join("history")))?;
    std::fs::create_dir_all(file.parent()?).ok()?;
    Some(file)
}

struct Question;

impl Prompt for Question {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("laterbase")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("       ... ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(search: {}) ", search.term))
    }
}

/// Enter ends what is complete; an empty line ends anything.
struct Statements;

impl Validator for Statements {
    fn validate(&self, text: &str) -> ValidationResult {
        let is_over = text.trim_start().starts_with('.') || text.ends_with('\n');
        if is_over || !is_incomplete(text) {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}

struct Names {
    schema: Schema,
    roots: Vec<String>,
}

impl Completer for Names {
    fn complete(&mut self, text: &str, at: usize) -> CompletionResult {
        let (start, words) = completions(&self.schema, &self.roots, text, at);
        let suggestion = |value: String| Suggestion {
            value,
            display_override: None,
            description: None,
            style: None,
            extra: None,
            span: Span { start, end: at },
            append_whitespace: false,
            match_indices: None,
        };
        CompletionResult::fresh(words.into_iter().map(suggestion).collect::<Vec<_>>())
    }
}

struct Colours;

impl Highlighter for Colours {
    fn highlight(&self, text: &str, _: usize) -> StyledText {
        let mut styled = StyledText::new();
        let plain = Color::Default.normal();
        let mut done = 0;
        let mut push = |style, from: usize, until: usize| {
            if let Some(piece) = text.get(from..until).filter(|piece| !piece.is_empty()) {
                styled.push((style, piece.to_owned()));
            }
        };
        for (span, piece) in pieces(text) {
            let (start, end) = (span.start as usize, span.end as usize);
            push(plain, done, start);
            let style = match piece {
                Piece::Keyword => Color::Magenta.normal(),
                Piece::Relation => Color::Cyan.bold(),
                Piece::Function => Color::Blue.normal(),
                Piece::Parameter => Color::Yellow.normal(),
                Piece::Text | Piece::Literal => Color::Green.normal(),
                Piece::Comment => Color::DarkGray.normal(),
                Piece::Name | Piece::Sign => plain,
            };
            push(style, start, end);
            done = end;
        }
        push(plain, done, text.len());
        styled
    }
}
