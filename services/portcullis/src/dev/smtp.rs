//! The development mail server: takes every mail on loopback and puts it into the mailbox. Speaks as much of RFC 5321 as
//! mail programs need; never used outside development mode.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::mailbox::Mailbox;

/// The most bytes of a mail.
const MAX_MAIL: usize = 1 << 20;
/// The most bytes of a line.
const MAX_LINE: usize = 4_096;

/// Listens on a free port of loopback until `stop`.
pub(super) async fn listen(mailbox: Mailbox, stop: CancellationToken) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            if let Ok((stream, _)) = accepted {
                let (mailbox, stop) = (mailbox.clone(), stop.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = converse(stream, &mailbox) => {}
                    }
                });
            }
        }
    });
    Ok(address)
}

async fn converse(stream: TcpStream, mailbox: &Mailbox) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut to: Vec<String> = Vec::new();
    writer
        .write_all(b"220 localhost Portcullis development mailbox\r\n")
        .await?;
    while let Some(line) = line(&mut reader).await? {
        let verb = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "EHLO" => b"250-localhost\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n",
            "HELO" | "NOOP" => b"250 OK\r\n",
            "MAIL" | "RSET" => {
                to.clear();
                b"250 OK\r\n"
            }
            "RCPT" if to.len() >= 100 => b"452 too many recipients\r\n",
            "RCPT" => {
                let address = line
                    .split_once('<')
                    .and_then(|(_, rest)| rest.split_once('>'))
                    .map(|(a, _)| a.to_owned());
                match address {
                    Some(address) => {
                        to.push(address);
                        b"250 OK\r\n"
                    }
                    None => b"501 the address has to stand in <>\r\n",
                }
            }
            "DATA" if to.is_empty() => b"503 RCPT first\r\n",
            "DATA" => {
                writer
                    .write_all(b"354 end with a line that has a dot alone\r\n")
                    .await?;
                // The dot that ends a mail may be sent only once what came before it is acknowledged.
                #[cfg(target_os = "linux")]
                let _ = writer.as_ref().set_quickack(true);
                match data(&mut reader).await? {
                    Some(mail) => {
                        mailbox.keep(&to, &mail);
                        to.clear();
                        b"250 kept\r\n"
                    }
                    None => b"552 too long\r\n",
                }
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"502 not known here\r\n",
        };
        writer.write_all(answer).await?;
    }
    Ok(())
}

async fn line(reader: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = tokio::io::AsyncReadExt::take(&mut *reader, MAX_LINE as u64)
        .read_until(b'\n', &mut bytes)
        .await?;
    if read == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

/// The mail up to the lone dot; none where it is too long (read to its end all the same).
async fn data(reader: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Vec<u8>>> {
    let (mut mail, mut total) = (Vec::new(), 0usize);
    loop {
        let mut line = Vec::new();
        if tokio::io::AsyncReadExt::take(&mut *reader, 1 << 16)
            .read_until(b'\n', &mut line)
            .await?
            == 0
        {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" || line == b".\n" {
            return Ok((total <= MAX_MAIL).then_some(mail));
        }
        total += line.len();
        if total <= MAX_MAIL {
            mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}
