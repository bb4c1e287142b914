//! What an export is sealed and opened with: a passphrase, asked for or kept somewhere, or a file with a key.
//!
//! Not here: what is done with it ([`api::export`]).

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use api::export::{ExportKey, KeyKind};
use clap::Args;
use console::Term;
use service::{Secret, SecretSource};

/// Fewest characters of a passphrase: whoever has the file can try them one after the other.
const FEWEST: usize = 12;

/// Where the passphrase or key is.
#[derive(Debug, Args)]
pub(crate) struct Sealing {
    /// Where the passphrase of a sealed file is kept, instead of being asked for: `file:PATH` (its
    /// first line), `env:NAME` or `credential:NAME`.
    #[arg(long, value_name = "SOURCE", conflicts_with = "key_file")]
    passphrase: Option<SecretSource>,
    /// File with a key instead of a passphrase: 32 bytes, or them as hex or base64, that its owner
    /// alone can read.
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
}

impl Sealing {
    /// Whether anything was given.
    pub(crate) const fn is_given(&self) -> bool {
        self.passphrase.is_some() || self.key_file.is_some()
    }

    fn kept(&self) -> Result<Option<ExportKey>> {
        if let Some(path) = &self.key_file {
            return Ok(Some(ExportKey::Key(service::key::read(path)?)));
        }
        let words = self.passphrase.as_ref().map(SecretSource::read).transpose()?;
        Ok(words.map(ExportKey::Passphrase))
    }

    /// For a new file. A passphrase is asked for twice.
    pub(crate) fn for_sealing(&self) -> Result<ExportKey> {
        let key = match self.kept()? {
            Some(key) => key,
            None => ExportKey::Passphrase(asked_twice(&mut |prompt| ask(prompt))?),
        };
        match &key {
            ExportKey::Passphrase(words) => long_enough(words)?,
            ExportKey::Key(_) => {}
        }
        Ok(key)
    }

    /// For a file that wants this kind of key.
    pub(crate) fn for_opening(&self, kind: KeyKind) -> Result<ExportKey> {
        match (self.kept()?, kind) {
            (Some(key), _) => Ok(key),
            (None, KeyKind::Passphrase) => Ok(ExportKey::Passphrase(ask("Passphrase: ")?)),
            (None, KeyKind::Key) => bail!("it was sealed with a key: give --key-file PATH"),
        }
    }
}

fn long_enough(words: &Secret) -> Result<()> {
    if words.expose().chars().count() < FEWEST {
        bail!("a passphrase needs at least {FEWEST} characters");
    }
    Ok(())
}

fn asked_twice(ask: &mut dyn FnMut(&str) -> Result<Secret>) -> Result<Secret> {
    let words = ask("Passphrase of the file: ")?;
    long_enough(&words)?;
    if ask("The same again: ")? != words {
        bail!("these were two different passphrases");
    }
    Ok(words)
}

/// Asks at the terminal, which shows nothing of the answer.
fn ask(prompt: &str) -> Result<Secret> {
    let terminal = Term::stderr();
    if !terminal.is_term() {
        bail!("no terminal to ask for the passphrase: give --passphrase SOURCE or --key-file PATH");
    }
    terminal.write_str(prompt).context("cannot write to the terminal")?;
    let words = terminal.read_secure_line().context("cannot read from the terminal")?;
    Ok(Secret::new(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_passphrase_is_long_and_given_twice_the_same() {
        let check = |answers: &[&str], expected: &str| {
            let mut answers = answers.iter();
            let found = asked_twice(&mut |_| {
                Ok(Secret::new((*answers.next().context("asked too often")?).to_owned()))
            });
            let told = found.map_or_else(|error| error.to_string(), |_| "taken".to_owned());
            assert_eq!(told, expected);
        };
        check(&["correct horse", "correct horse"], "taken");
        check(&["correct horse", "correct house"], "these were two different passphrases");
        check(&["short", "short"], "a passphrase needs at least 12 characters");
        check(&["äöüäöüäöüäö"], "a passphrase needs at least 12 characters");
    }
}
