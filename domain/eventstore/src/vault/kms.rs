//! A master key that never comes here: a program that asks a key management service.
//!
//! The program is started once for each tenant's data key that is wrapped or opened, at most once a minute and tenant. Its
//! last argument is `wrap` or `unwrap`. On its standard input it gets two lines in base64: the name to bind (what services
//! call the additional authenticated data or encryption context) and the bytes. It answers with one line of base64 on its
//! standard output and ends with 0. Any other end is a refusal. What it says on its standard error goes to ours.

use std::{fmt, process::Stdio, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::Semaphore,
};
use zeroize::Zeroizing;

use super::master::{Answer, MasterKey, MasterKeyError};

/// How long the program may take.
const WITHIN: Duration = Duration::from_secs(10);
/// The most bytes of its answer.
const MOST: u64 = 64 * 1024;
/// Programs that run at once.
const AT_ONCE: usize = 4;

/// A key of a key management service, reached by a program.
pub struct CommandMasterKey {
    program: String,
    arguments: Vec<String>,
    id: String,
    running: Semaphore,
}

impl CommandMasterKey {
    /// The key that `key` names, by a program and its first arguments.
    ///
    /// # Errors
    /// [`MasterKeyError::Service`] where no program is named, or the key's name is not 1 to 200 printable characters.
    pub fn new(command: &[String], key: &str) -> Result<Self, MasterKeyError> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(MasterKeyError::Service("no program is named".to_owned()));
        };
        if key.is_empty() || key.len() > 200 || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(MasterKeyError::Service(
                "the key's name is 1 to 200 printable characters".to_owned(),
            ));
        }
        Ok(Self {
            program: program.clone(),
            arguments: arguments.to_vec(),
            id: format!("kms:{key}"),
            running: Semaphore::new(AT_ONCE),
        })
    }

    async fn ask(&self, operation: &str, name: &[u8], bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
        let failed = |what: &str| MasterKeyError::Service(format!("`{}` {what}", self.program));
        let _permit = self
            .running
            .acquire()
            .await
            .map_err(|_| failed("is not used any more"))?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(operation)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&format!("does not start: {error}")))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(failed("has no standard input or output"));
        };
        let question = Zeroizing::new(format!("{}\n{}\n", STANDARD.encode(name), STANDARD.encode(bytes)));
        // Room for all of it at once, so that no copy stays behind where the buffer grew.
        let mut answer = Zeroizing::new(Vec::with_capacity(4_096));
        let talk = async {
            // A program that ends before it has read everything has its say by its exit status.
            let _ = stdin.write_all(question.as_bytes()).await;
            drop(stdin);
            stdout.take(MOST + 1).read_to_end(&mut answer).await?;
            child.wait().await
        };
        let status = tokio::time::timeout(WITHIN, talk)
            .await
            .map_err(|_| failed("did not answer within 10 seconds"))?
            .map_err(|error| failed(&format!("can't be heard: {error}")))?;
        // Before its exit status: a program that is not heard to its end may die of that.
        if answer.len() as u64 > MOST {
            return Err(failed("answered with nothing, or too much"));
        }
        if !status.success() {
            return Err(failed(&format!("refused to {operation} ({status})")));
        }
        let text = answer.trim_ascii();
        if text.is_empty() {
            return Err(failed("answered with nothing, or too much"));
        }
        STANDARD
            .decode(text)
            .map(Zeroizing::new)
            .map_err(|_| failed("answered with something else than one line of base64"))
    }
}

impl fmt::Debug for CommandMasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the arguments: somebody may have put a secret there.
        f.debug_tuple("CommandMasterKey").field(&self.id).finish()
    }
}

impl MasterKey for CommandMasterKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn wrap<'a>(&'a self, name: &'a [u8], secret: &'a [u8], _nonce: [u8; 12]) -> Answer<'a, Vec<u8>> {
        Box::pin(async move { Ok(self.ask("wrap", name, secret).await?.to_vec()) })
    }

    fn unwrap<'a>(&'a self, name: &'a [u8], wrapped: &'a [u8]) -> Answer<'a, Zeroizing<Vec<u8>>> {
        Box::pin(async move { self.ask("unwrap", name, wrapped).await })
    }
}
