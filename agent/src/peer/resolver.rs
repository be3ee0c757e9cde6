//! Names to addresses, for an agent that must go on when name service does not.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

/// One question at a time: the system's resolver may hang for long in a thread that cannot be ended,
/// and those must not pile up. While it hangs, or when it fails, the addresses of last time are used.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    known: Option<(String, Vec<SocketAddr>)>,
    asking: Option<Asking>,
}

#[derive(Debug)]
struct Asking {
    name: String,
    answer: tokio::task::JoinHandle<io::Result<Vec<SocketAddr>>>,
}

/// How long a question may take before the addresses of last time do.
const RESOLVE_PATIENCE: Duration = Duration::from_millis(500);

impl Resolver {
    /// The addresses of `name` (`host:port`); never none.
    pub(super) async fn resolve(&mut self, name: &str) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = name.parse::<SocketAddr>() {
            return Ok(vec![address]);
        }
        let known = match &self.known {
            Some((of, known)) if of == name => Some(known.clone()),
            _ => None,
        };
        let asking = match &mut self.asking {
            Some(asking) if asking.name == name => asking,
            other => {
                let asked = name.to_owned();
                other.insert(Asking {
                    name: name.to_owned(),
                    answer: tokio::spawn(async move {
                        Ok(tokio::net::lookup_host(asked).await?.collect())
                    }),
                })
            }
        };
        let answered = match &known {
            Some(known) => match timeout(RESOLVE_PATIENCE, &mut asking.answer).await {
                Ok(answered) => answered,
                Err(_) => return Ok(known.clone()),
            },
            None => (&mut asking.answer).await,
        };
        self.asking = None;
        match (answered, known) {
            (Ok(Ok(places)), _) if !places.is_empty() => {
                self.known = Some((name.to_owned(), places.clone()));
                Ok(places)
            }
            (_, Some(known)) => Ok(known),
            (Ok(Err(error)), None) => Err(io::Error::new(
                error.kind(),
                format!("its name cannot be resolved: {error}"),
            )),
            _ => Err(io::Error::other("its name has no address")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_was_known_outlives_the_name_service() {
        let name = "db1.example.invalid:7400";
        let mut resolver = Resolver::default();
        let error = resolver.resolve(name).await.unwrap_err();
        assert!(error.to_string().contains("name"), "{error}");
        // As if it had been resolved once.
        let known: SocketAddr = "192.0.2.7:7400".parse().unwrap();
        resolver.known = Some((name.to_owned(), vec![known]));
        assert_eq!(resolver.resolve(name).await.unwrap(), [known]);
        // Of another name that says nothing.
        resolver
            .resolve("db2.example.invalid:7400")
            .await
            .unwrap_err();
    }

    #[tokio::test]
    async fn a_question_that_hangs_is_asked_once() {
        let name = "db1.example.invalid:7400";
        let known: SocketAddr = "192.0.2.7:7400".parse().unwrap();
        let mut resolver = Resolver {
            known: Some((name.to_owned(), vec![known])),
            asking: Some(Asking {
                name: name.to_owned(),
                answer: tokio::spawn(std::future::pending()),
            }),
        };
        assert_eq!(resolver.resolve(name).await.unwrap(), [known]);
        let asking = resolver.asking.take().unwrap();
        assert!(!asking.answer.is_finished());
        asking.answer.abort();
    }
}
